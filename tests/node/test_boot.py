"""The same race at boot: kubelet and iptables.service both start, and nothing orders them."""

from collections import Counter
from collections.abc import Iterator

import pytest
from testinfra.host import Host

from chainrace.base.paths import REPOSITORY, Paths
from chainrace.explore.replay import Replayer
from chainrace.explore.scripts import Script
from chainrace.explore.views import Reference
from chainrace.judge.explored import HARMLESS
from chainrace.judge.outcome import Outcome
from chainrace.judge.verdict import FIXED
from chainrace.model import schedule
from chainrace.model.mode import HEALTHY, INIT_FAILED
from chainrace.model.protocol import Clean, Release
from chainrace.model.trial import Ending
from chainrace.node.node import Node
from chainrace.report.folder import Folder
from chainrace.report.terminal import Terminal
from chainrace.run.exploring import scripts
from chainrace.run.reboot import after_boot, kubelet_at_boot
from chainrace.run.trials import SCRIPTS_ON_NODE
from tests.node.fixtures import LIMIT, Explore, reboot

ORDERED = REPOSITORY / "examples/mitigations/service-before-kubelet/prepare.sh"
# The service's fifth iptables process, the script's 14th step, deletes the chain that kubelet has
# made with its fifth.
BREAKS = "k5 s14 k* s*"


@pytest.fixture(scope="module")
def reference(lab_node: Node) -> Reference:
    found = Replayer(lab_node.agent, SCRIPTS_ON_NODE[FIXED], LIMIT).reference()
    lab_node.agent.ask(Release(), timeout=LIMIT)
    return found


@pytest.fixture
def ordered_boot(lab_node: Node) -> Iterator[Script]:
    with scripts([lab_node], None, ORDERED, boot=True) as (script,):
        yield script


def test_an_unordered_boot_can_break_kubelets_start(lab_node: Node, reference: Reference) -> None:
    """Whatever the save script does: the outage's fix does not cover this."""
    with scripts([lab_node], None, None, boot=True) as (script,):
        replayer = Replayer(lab_node.agent, script.path, LIMIT, boot=True)
        outcome = replayer.run(schedule.parse(BREAKS), reference).outcome
        replayer.release()
    assert INIT_FAILED in outcome.families["ipv4"].modes
    assert outcome.signature


@pytest.mark.nightly
def test_no_interleaving_is_left_where_the_service_is_ordered_before_kubelet(
    ordered_boot: Script, explore: Explore
) -> None:
    explored, _ = explore(ordered_boot)
    assert explored.verdict == HARMLESS
    assert [graph.orders for graph in explored.graphs] == [1, 1]


@pytest.fixture
def boots(
    host: Host, lab_node: Node, paths: Paths, terminal: Terminal, request: pytest.FixtureRequest
) -> Iterator[list[Ending]]:
    """What some real boots leave, kubelet being started by them."""
    folder = Folder(paths.results).path
    endings = []
    with kubelet_at_boot(lab_node):
        for number in range(1, request.config.getoption("--reboots") + 1):
            reboot(lab_node, host)
            endings.append(after_boot(lab_node, limit=LIMIT))
            (folder / f"boot-{number}.log").write_text("\n".join(endings[-1].journal) + "\n")
            terminal.say(f"boot {number}: {endings[-1].words}")
    yield endings
    lab_node.agent.ask(Clean(), timeout=300)


@pytest.mark.nightly
@pytest.mark.usefixtures("ordered_boot")
def test_an_ordered_boot_leaves_kubelet_healthy(reference: Reference, boots: list[Ending]) -> None:
    outcomes: list[Outcome] = [reference.judge_all(ending) for ending in boots]
    assert outcomes
    assert {outcome.name for outcome in outcomes} == {HEALTHY}


@pytest.mark.nightly
def test_boots_that_nothing_orders_are_counted(
    reference: Reference, boots: list[Ending], terminal: Terminal
) -> None:
    """What comes is chance; on a node whose kubelet is slower than the service, health."""
    outcomes = Counter(reference.judge_all(ending).name for ending in boots)
    terminal.say(f"unordered boots: {dict(outcomes)}")
    assert outcomes.total() == len(boots) > 0
