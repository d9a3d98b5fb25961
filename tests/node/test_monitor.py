"""kubelet's Monitor: what it notices in its minute, and what it never does."""

from typing import Any

import pytest
from testinfra.host import Host

from chainrace.node.node import Node
from chainrace.race import rules
from chainrace.race.verdict import FIXED
from tests.node.fixtures import LIMIT, Replay

WATCH_SECONDS = 150.0
CANARY = "KUBE-KUBELET-CANARY"
HEALED, NEVER = "healed", "never"

# What is done to a healthy node's IPv4 rules, and whether the Monitor's next look mends it.
DAMAGES = [
    (f"iptables -t mangle -X {CANARY}", HEALED),
    (f"iptables -t nat -X {CANARY}", NEVER),
    (f"iptables -t filter -X {CANARY}", NEVER),
    # Rules go, chains stay, and with them every canary.
    ("iptables -F", NEVER),
    ("iptables -t mangle -F", NEVER),
    # All chains go, of each table, as the service's stop script does it.
    (
        "for table in filter nat mangle; do iptables -t $table -F; iptables -t $table -X; done",
        HEALED,
    ),
]


@pytest.mark.parametrize(("damage", "healed"), DAMAGES)
def test_the_monitor_looks_for_mangles_canary_and_for_nothing_else(
    damage: str, healed: str, host: Host, lab_node: Node, replay: Replay
) -> None:
    whole = rules.parse(replay("k* x* s*", FIXED).ending.after["ipv4"])
    host.check_output(damage)
    hurt = whole.missing_from(rules.parse(host.check_output("iptables-save")))
    seen: dict[str, Any] = lab_node.agent.ask(
        "watch", timeout=WATCH_SECONDS + LIMIT, limit=WATCH_SECONDS
    )
    lab_node.agent.ask("release", timeout=LIMIT)
    assert seen["looked"] == {"ipv4": True, "ipv6": True}
    left = whole.missing_from(rules.parse(seen["rules"]["ipv4"]))
    kubelets = [entry for entry in left if "KUBE-" in entry]
    # An empty table has nothing to lose: kubelet puts no rule into mangle.
    assert (
        kubelets == [] if healed == HEALED else kubelets == [one for one in hurt if "KUBE-" in one]
    )
