"""The same race at boot: kubelet and iptables.service both start, and nothing orders them."""

import time
from collections.abc import Iterator

import pytest
from testinfra.host import Host

from chainrace import session
from chainrace.chance import SCRIPTS_ON_NODE
from chainrace.force.replay import Replayer
from chainrace.force.run import Script
from chainrace.gate.words import BEYOND, FAILED, FAMILY_OF_PROTOCOL, INITIALISED
from chainrace.node.node import Node
from chainrace.paths import REPOSITORY, Paths
from chainrace.race.force import HARMFUL, HARMLESS, Explored
from chainrace.race.outcome import INIT_FAILED, Outcome, judge
from chainrace.race.trial import Ending
from chainrace.race.verdict import FIXED
from chainrace.report.folder import Folder
from chainrace.report.terminal import Terminal
from tests.node.fixtures import LIMIT, Force, reboot

ORDERED = REPOSITORY / "examples/remedies/service-before-kubelet/prepare.sh"
LAST_CANARY = "-t filter -S KUBE-KUBELET-CANARY"
WANTED = "/etc/systemd/system/multi-user.target.wants/kubelet.service"


@pytest.fixture(scope="module")
def unordered(lab_node: Node, force: Force) -> Explored:
    """All that an unordered boot can lead to."""
    with session.scripts([lab_node], None, None, boot=True) as (script,):
        explored, _ = force(script)
    return explored


@pytest.fixture
def ordered_boot(lab_node: Node) -> Iterator[Script]:
    with session.scripts([lab_node], None, ORDERED, boot=True) as (script,):
        yield script


def test_an_unordered_boot_can_break_kubelets_start(unordered: Explored) -> None:
    assert unordered.word == HARMFUL
    assert INIT_FAILED in unordered.simplest()


def test_no_interleaving_is_left_where_the_service_is_ordered_before_kubelet(
    ordered_boot: Script, force: Force
) -> None:
    explored, _ = force(ordered_boot)
    assert explored.word == HARMLESS
    assert [graph.orders for graph in explored.graphs] == [1, 1]


@pytest.fixture
def boots(
    host: Host, lab_node: Node, paths: Paths, terminal: Terminal, request: pytest.FixtureRequest
) -> Iterator[list[Outcome]]:
    """What some real boots led to, kubelet being started by them."""
    reference = Replayer(lab_node.agent, SCRIPTS_ON_NODE[FIXED], LIMIT).reference()
    lab_node.agent.ask("release", timeout=LIMIT)
    host.check_output(f"ln -s /usr/lib/systemd/system/kubelet.service {WANTED}")
    folder = Folder(paths.results).path
    outcomes = []
    for number in range(1, request.config.getoption("--reboots") + 1):
        reboot(lab_node, host)
        ending = after_boot(host, lab_node)
        outcomes.append(judge(reference.rules, ending))
        (folder / f"boot-{number}.log").write_text("\n".join(ending.journal) + "\n")
        terminal.say(f"boot {number}: {outcomes[-1].name}")
    yield outcomes
    host.check_output(f"rm {WANTED}")
    lab_node.agent.ask("clean", timeout=300)


def test_what_real_boots_lead_to_is_among_what_force_found(
    boots: list[Outcome], unordered: Explored
) -> None:
    possible = {end.outcome.classes for graph in unordered.graphs for end in graph.ends}
    assert boots
    for outcome in boots:
        assert {one.classes for one in outcome.families.values()} <= possible


def after_boot(host: Host, lab_node: Node) -> Ending:
    """What a boot has left, kubelet being beyond its initialisation."""
    deadline = time.monotonic() + LIMIT
    while BEYOND not in (log := host.check_output("journalctl -b -o cat -u kubelet")):
        assert time.monotonic() < deadline, log
        time.sleep(1)
    words = {
        FAMILY_OF_PROTOCOL[found[1]]: word
        for pattern, word in ((INITIALISED, "initialised"), (FAILED, "failed"))
        for found in pattern.finditer(log)
    }
    # The Monitor makes its canaries beside the start of the main loop.
    for family, program in (("ipv4", "iptables"), ("ipv6", "ip6tables")):
        while words.get(family) == "initialised" and host.run(f"{program} {LAST_CANARY}").rc != 0:
            assert time.monotonic() < deadline, log
            time.sleep(1)
    rules = lab_node.agent.ask("rules", timeout=60)
    return Ending(words, tuple(log.splitlines()), rules)
