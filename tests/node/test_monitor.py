"""kubelet's Monitor: what it notices in its minute, and what it never does."""

import pytest
from testinfra.host import Host

from chainrace.judge.verdict import FIXED
from chainrace.model import rules
from chainrace.model.mode import INIT_FAILED
from chainrace.model.protocol import Release, Watch, Watched
from chainrace.node.node import Node
from chainrace.subjects.kubelet.words import CANARY
from tests.node.fixtures import LIMIT, OUTAGE, Replay

WATCH_SECONDS = 150.0
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


@pytest.mark.nightly
@pytest.mark.parametrize(("damage", "healed"), DAMAGES)
def test_the_monitor_looks_for_mangles_canary_and_for_nothing_else(
    damage: str, healed: str, host: Host, lab_node: Node, replay: Replay
) -> None:
    """docs/outcomes.md has the table."""
    hurt, left = looked_after(damage, host, lab_node, replay)
    assert left == ([] if healed == HEALED else hurt)


def test_all_that_the_monitor_never_notices_may_be_lost_at_once(
    host: Host, lab_node: Node, replay: Replay
) -> None:
    hurt, left = looked_after(
        "; ".join(damage for damage, healed in DAMAGES if healed == NEVER), host, lab_node, replay
    )
    assert "filter -A OUTPUT -j KUBE-FIREWALL" in hurt
    assert left == hurt


def test_a_family_whose_initialisation_failed_has_no_monitor_and_stays_broken(
    host: Host, lab_node: Node, replay: Replay
) -> None:
    """initNetworkUtil (pkg/kubelet/kubelet_network_linux.go) starts it on success alone."""
    broken = replay(OUTAGE)
    ipv4 = broken.outcome.families["ipv4"]
    assert INIT_FAILED in ipv4.modes
    assert "filter :KUBE-FIREWALL" in ipv4.missing
    seen = watched(lab_node)
    assert host.service("kubelet").is_running
    lab_node.agent.ask(Release(), timeout=LIMIT)
    # IPv6's, which was started later, has looked by now: IPv4's would have, too.
    assert seen["looked"] == {"ipv6": True}
    assert rules.parse(seen["rules"]["ipv4"]) == rules.parse(broken.ending.after["ipv4"])


def watched(lab_node: Node) -> Watched:
    """What each Monitor that runs did until its next look was over, and the rules then."""
    return lab_node.agent.ask(Watch(WATCH_SECONDS), timeout=WATCH_SECONDS + LIMIT)


def looked_after(
    damage: str, host: Host, lab_node: Node, replay: Replay
) -> tuple[list[str], list[str]]:
    """What of kubelet's a damage took in IPv4, and what of it the Monitor's next look left so."""
    whole = rules.parse(replay("k* x* s*", FIXED).ending.after["ipv4"])
    # The image's policies are closed: without rules ssh would be shut out.
    host.check_output("iptables -P INPUT ACCEPT; iptables -P OUTPUT ACCEPT")
    host.check_output(damage)
    hurt = whole.missing_from(rules.parse(host.check_output("iptables-save")))
    seen = watched(lab_node)
    lab_node.agent.ask(Release(), timeout=LIMIT)
    assert seen["looked"] == {"ipv4": True, "ipv6": True}
    after = whole.missing_from(rules.parse(seen["rules"]["ipv4"]))
    return (
        [entry for entry in hurt if "KUBE-" in entry],
        [entry for entry in after if "KUBE-" in entry],
    )
