"""The same race at boot: kubelet and iptables.service both start, and nothing orders them."""

import time
from collections.abc import Iterator

import pytest
from testinfra.host import Host

from chainrace import session
from chainrace.chance import SCRIPTS_ON_NODE
from chainrace.force.replay import Replayer
from chainrace.force.run import Script
from chainrace.force.views import Reference
from chainrace.gate.words import BEYOND, FAILED, FAMILY_OF_PROTOCOL, INITIALISED
from chainrace.node.node import Node
from chainrace.paths import REPOSITORY, Paths
from chainrace.race import schedule
from chainrace.race.force import HARMLESS
from chainrace.race.outcome import HEALTHY, INIT_FAILED, Outcome, judge
from chainrace.race.trial import Ending
from chainrace.race.verdict import FIXED
from chainrace.report.folder import Folder
from chainrace.report.terminal import Terminal
from tests.node.fixtures import LIMIT, Force, reboot

ORDERED = REPOSITORY / "examples/remedies/service-before-kubelet/prepare.sh"
WANTED = "/etc/systemd/system/multi-user.target.wants/kubelet.service"
LAST_CANARY = "-t filter -S KUBE-KUBELET-CANARY"
# The service's fifth step deletes the chain that kubelet's fourth has made.
BREAKS = "k4 s5 k* s*"


@pytest.fixture(scope="module")
def reference(lab_node: Node) -> Reference:
    found = Replayer(lab_node.agent, SCRIPTS_ON_NODE[FIXED], LIMIT).reference()
    lab_node.agent.ask("release", timeout=LIMIT)
    return found


@pytest.fixture
def ordered_boot(lab_node: Node) -> Iterator[Script]:
    with session.scripts([lab_node], None, ORDERED, boot=True) as (script,):
        yield script


def test_an_unordered_boot_can_break_kubelets_start(lab_node: Node, reference: Reference) -> None:
    """Whatever the save script does: the outage's fix does not cover this."""
    with session.scripts([lab_node], None, None, boot=True) as (script,):
        replayer = Replayer(lab_node.agent, script.path, LIMIT, boot=True)
        outcome = replayer.run(schedule.parse(BREAKS), reference).outcome
        replayer.release()
    assert INIT_FAILED in outcome.families["ipv4"].classes
    assert outcome.signature


def test_no_interleaving_is_left_where_the_service_is_ordered_before_kubelet(
    ordered_boot: Script, force: Force
) -> None:
    explored, _ = force(ordered_boot)
    assert explored.word == HARMLESS
    assert [graph.orders for graph in explored.graphs] == [1, 1]


@pytest.fixture
def boots(
    host: Host, lab_node: Node, paths: Paths, terminal: Terminal, request: pytest.FixtureRequest
) -> Iterator[list[Ending]]:
    """What some real boots leave, kubelet being started by them."""
    host.check_output(f"ln -s /usr/lib/systemd/system/kubelet.service {WANTED}")
    folder = Folder(paths.results).path
    endings = []
    for number in range(1, request.config.getoption("--reboots") + 1):
        reboot(lab_node, host)
        endings.append(after_boot(host, lab_node))
        (folder / f"boot-{number}.log").write_text("\n".join(endings[-1].journal) + "\n")
        terminal.say(f"boot {number}: {endings[-1].words}")
    yield endings
    host.check_output(f"rm {WANTED}")
    lab_node.agent.ask("clean", timeout=300)


@pytest.mark.nightly
@pytest.mark.usefixtures("ordered_boot")
def test_an_ordered_boot_leaves_kubelet_healthy(reference: Reference, boots: list[Ending]) -> None:
    outcomes: list[Outcome] = [judge(reference.rules, ending) for ending in boots]
    assert outcomes
    assert {outcome.name for outcome in outcomes} == {HEALTHY}


def after_boot(host: Host, lab_node: Node) -> Ending:
    """What a boot has left, kubelet being beyond its initialisation and its canaries made."""
    deadline = time.monotonic() + LIMIT
    while BEYOND not in (log := host.check_output("journalctl -b -o cat -u kubelet")):
        assert time.monotonic() < deadline, log
        time.sleep(1)
    words = {
        FAMILY_OF_PROTOCOL[found[1]]: word
        for pattern, word in ((INITIALISED, "initialised"), (FAILED, "failed"))
        for found in pattern.finditer(log)
    }
    for family, program in (("ipv4", "iptables"), ("ipv6", "ip6tables")):
        while words.get(family) == "initialised" and host.run(f"{program} {LAST_CANARY}").rc != 0:
            assert time.monotonic() < deadline, log
            time.sleep(1)
    rules = lab_node.agent.ask("rules", timeout=60)
    return Ending(words, tuple(log.splitlines()), rules)
