"""kubelet's failure modes: those that every subject has in its words, and those of its own."""

from dataclasses import replace

from chainrace.model.mode import GENERAL, INIT_FAILED, RULES_LOST, Mode

# NewBestEffort drops a family whose first look fails, and says nothing (pkg/util/iptables).
FAMILY_DROPPED = "family_dropped"
# A neighbour's packet reaches what listens on 127.0.0.1 (chainrace/gate/guard.py).
GUARD_OPEN = "guard_open"
HINT_LOST = "hint_lost"
CANARY_LOST = "canary_lost"

OF_ALL = {one.name: one for one in GENERAL}
MODES = (
    replace(
        OF_ALL[INIT_FAILED],
        means=(
            "kubelet gave up setting its rules: the node has no working KUBE-FIREWALL, and nothing "
            "repairs it until kubelet starts again."
        ),
    ),
    Mode(
        FAMILY_DROPPED,
        10,
        "D",
        "#f3c1d9",
        "#6d1f4c",
        "#bf3989",
        "kubelet left out one family (IPv4 or IPv6) and logged nothing: as init_failed, without "
        "a trace.",
        ends_start=True,
    ),
    Mode(
        GUARD_OPEN,
        20,
        "G",
        "#c7dcf7",
        "#1d4673",
        "#0969da",
        "A packet from a neighbour reaches what listens on 127.0.0.1 of the node (CVE-2020-8558).",
        lets_in=True,
    ),
    replace(
        OF_ALL[RULES_LOST],
        means=(
            "kubelet believes that all is well, but some of its chains, jumps or rules are missing."
        ),
    ),
    Mode(
        HINT_LOST,
        60,
        "H",
        "#f9eaa0",
        "#5f5510",
        "#b59a00",
        "The chain KUBE-IPTABLES-HINT is missing: programs that ask it for the backend in use, "
        "such as azure-npm, look for the canary instead, or find nothing.",
    ),
    Mode(
        CANARY_LOST,
        70,
        "C",
        "#d9d2f5",
        "#40357a",
        "#7a68d8",
        "A chain KUBE-KUBELET-CANARY is missing: where it is mangle's, kubelet makes its rules "
        "again within a minute; where it is nat's or filter's alone, it never notices.",
    ),
)
