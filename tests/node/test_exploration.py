"""Every interleaving by explore: the fix holds in all of them, and harm is found and shown."""

import time
from dataclasses import replace

import pytest
from testinfra.host import Host

from chainrace.base.paths import Paths
from chainrace.explore.exploration import Exploration
from chainrace.explore.options import Options
from chainrace.explore.preparation import pristine
from chainrace.explore.replay import Replayer
from chainrace.explore.roots import FIRST, LAZY
from chainrace.explore.run import ExplorationRun
from chainrace.explore.scripts import Script, script_on
from chainrace.explore.store import Store
from chainrace.explore.walker import Walker
from chainrace.judge.explored import HARMFUL, HARMLESS, UNFINISHED, Graph
from chainrace.judge.outcome import FamilyOutcome
from chainrace.judge.progress import Progress
from chainrace.judge.verdict import FIXED, ORIGINAL
from chainrace.model import schedule
from chainrace.model.mode import HEALTHY, INIT_FAILED, RULES_LOST
from chainrace.model.protocol import Clean, Clock, Release
from chainrace.model.rules import plain
from chainrace.node.agent import Agent
from chainrace.node.node import Node
from chainrace.node.snapshots import Snapshots
from chainrace.report.terminal import Terminal
from chainrace.run.trials import SCRIPTS_ON_NODE
from chainrace.subjects.kubelet.modes import CANARY_LOST, GUARD_OPEN, HINT_LOST
from tests.node.fixtures import LIMIT, OUTAGE, Bring, Explore, Replay

# The loss that nobody notices, as the original's exploration finds it (docs/outcomes.md).
SILENT = "k5 s2 k6 s* k*"


def test_no_interleaving_of_the_fixed_script_harms_kubelet(
    lab_node: Node, explore: Explore
) -> None:
    explored, _ = explore(script_on(lab_node, FIXED, SCRIPTS_ON_NODE[FIXED]))
    assert explored.verdict == HARMLESS
    for graph in explored.graphs:
        assert graph.complete
        assert graph.modes().keys() == {HEALTHY}
    assert {graph.family for graph in explored.graphs} == {"ipv4", "ipv6"}


def test_an_original_in_the_fixs_place_would_be_found_harmful(
    own_script: Bring,
    explore: Explore,
) -> None:
    """The check above can fail: the part of the original that harms, alone."""
    explored, replays = explore(own_script("iptables -t filter -X\n"))
    assert explored.verdict == HARMFUL
    assert INIT_FAILED in explored.shortest()
    assert replays
    assert all(finding.reproduced for finding in explored.findings)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param("iptables -X\n", id="delete"),
        pytest.param(
            "iptables -F\niptables -X\n", id="flush and delete", marks=pytest.mark.nightly
        ),
        pytest.param(
            "iptables-save >/run/saved\niptables-restore </run/saved\n",
            id="save and restore",
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_the_reduction_loses_no_end_state(
    lab_node: Node,
    paths: Paths,
    terminal: Terminal,
    own_script: Bring,
    lines: str,
) -> None:
    script = own_script(lines)
    whole = end_states(lab_node, paths, script, reduced=False)
    reduced = end_states(lab_node, paths, script, reduced=True)
    for name, (graph, _) in (("whole", whole), ("reduced", reduced)):
        terminal.say(
            f"{name}: {graph.states} states, {graph.transitions} transitions, "
            f"{graph.counts['steps']} steps, {graph.counts['restores']} restores"
        )
    assert whole[1] == reduced[1]
    assert reduced[0].states < whole[0].states
    assert reduced[0].complete
    assert whole[0].complete


def end_states(
    lab_node: Node, paths: Paths, script: Script, *, reduced: bool
) -> tuple[Graph, set[tuple[object, ...]]]:
    """The graph in IPv4, and what its end states leave: rules and kubelet's words."""
    store = Store(paths.explorations / f"of-a-test-{reduced}.jsonl")
    store.remove()
    with pristine(paths, [lab_node], LIMIT) as (snapshots,):
        walker = Walker(lab_node.agent, snapshots, script.path, FIRST, LAZY, LIMIT)
        replayer = Replayer(lab_node.agent, script.path, LIMIT, snapshots=snapshots)
        exploration = Exploration(
            ("ipv4",),
            [walker],
            replayer.reference(),
            Options(reduced=reduced),
            store,
            tell=lambda _: None,
        )
        exploration.prepare()
        exploration.run()
        walker.close()
    store.remove()
    left: set[tuple[object, ...]] = {
        (tuple(plain(ending.after["ipv4"])), ending.words["ipv4"])
        for ending in exploration.known.endings.values()
    }
    return exploration.graphs()[0], left


def test_the_outages_own_interleaving_breaks_kubelets_start(
    replay: Replay,
) -> None:
    outcome = replay(OUTAGE).outcome
    assert outcome.families["ipv4"].modes == (INIT_FAILED, HINT_LOST)
    assert outcome.signature
    assert outcome.detected_by is None  # azure-npm finds no chain: the outage


def test_the_bug_without_the_outages_symptom(replay: Replay) -> None:
    """The hint was saved and came back: azure-npm starts beside a kubelet that failed."""
    outcome = replay("k4 s2 k2 s* k*").outcome
    assert outcome.families["ipv4"].modes == (INIT_FAILED,)
    assert outcome.detected_by == "mangle :KUBE-IPTABLES-HINT"


def test_a_kubelet_that_succeeded_and_lost_its_hint(replay: Replay) -> None:
    outcome = replay("s2 k* s*").outcome
    assert outcome.families["ipv4"].modes == (GUARD_OPEN, RULES_LOST, HINT_LOST, CANARY_LOST)


def test_the_silent_loss_lets_a_packet_through_that_a_healthy_node_drops(
    host: Host, replay: Replay, lab_node: Node
) -> None:
    """kubelet says Initialized, hint and canaries are there, and its guard is off."""
    healthy = replay("k* s*").outcome.families["ipv4"]
    assert healthy == FamilyOutcome((HEALTHY,))
    assert martian_connection(host) == ""
    assert dropped_by_the_guard(host) > 0

    lossy = replay(SILENT)
    assert lossy.outcome.families["ipv4"].modes == (GUARD_OPEN, RULES_LOST)
    assert lossy.ending.words["ipv4"] == "initialised"
    assert lossy.outcome.detected_by == "mangle :KUBE-IPTABLES-HINT"
    assert martian_connection(host) == "SSH-2.0"
    lab_node.agent.ask(Release(), timeout=LIMIT)


def martian_connection(host: Host) -> str:
    """What comes back when a neighbour asks for 127.0.0.1, with kube-proxy's route_localnet.

    Port 22 is one that the image's own rules let in.
    """
    host.run("ip netns delete neighbour")
    for line in (
        # networkd would take the address away again.
        "mkdir -p /run/systemd/network",
        (
            "printf '[Match]\\nName=lab0\\n[Link]\\nUnmanaged=yes\\n' "
            ">/run/systemd/network/10-lab0.network"
        ),
        "networkctl reload",
        "ip netns add neighbour",
        "ip link add lab0 type veth peer name lab1 netns neighbour",
        "ip address add 192.0.2.1/30 dev lab0",
        "ip link set lab0 up",
        "ip -n neighbour address add 192.0.2.2/30 dev lab1",
        "ip -n neighbour link set lab1 up",
        "ip -n neighbour route add 127.0.0.1/32 via 192.0.2.1",
        "sysctl -qw net.ipv4.conf.all.route_localnet=1",
        "ip netns exec neighbour sysctl -qw net.ipv4.conf.all.route_localnet=1",
    ):
        host.check_output(line)
    heard = host.run(
        "ip netns exec neighbour timeout 10 "
        "bash -c 'exec 3<>/dev/tcp/127.0.0.1/22 && head -c 7 <&3'"
    ).stdout
    host.check_output("ip netns delete neighbour")
    host.check_output("rm /run/systemd/network/10-lab0.network && networkctl reload")
    host.check_output("sysctl -qw net.ipv4.conf.all.route_localnet=0")
    return str(heard)


def dropped_by_the_guard(host: Host) -> int:
    """The packets that kubelet's rule against martian localnet traffic has dropped."""
    listing = host.check_output("iptables -t filter -L KUBE-FIREWALL -v -x -n")
    # pkts bytes target ...
    return sum(int(line.split()[0]) for line in listing.splitlines() if " DROP " in line)


def test_a_script_that_only_reads_is_harmless(
    own_script: Bring,
    explore: Explore,
) -> None:
    explored, _ = explore(own_script("iptables -t mangle -S >/dev/null\n"))
    assert explored.verdict == HARMLESS


class Interrupts(Terminal):
    """Ctrl-C as soon as there is something to go on from."""

    def exploring(self, progress: Progress) -> None:
        if progress.states > 1:
            raise KeyboardInterrupt


def test_an_exploration_goes_on_where_it_was_interrupted(
    lab_node: Node,
    paths: Paths,
    own_script: Bring,
    explore: Explore,
) -> None:
    script = replace(own_script("iptables-save >/dev/null\nexit 3\n"), expect=3)
    before = set(paths.explorations.glob("*"))
    run = ExplorationRun(
        paths,
        [lab_node],
        script,
        Options(),
        limit=LIMIT,
        teller=Interrupts(),
        keep=lambda *_: None,
    )
    with pytest.raises(KeyboardInterrupt):
        run.run()
    cut = run.explored
    assert cut.verdict == UNFINISHED
    assert set(paths.explorations.glob("*")) > before
    whole, _ = explore(script)
    assert whole.verdict == HARMLESS
    assert whole.graphs[0].states > cut.graphs[0].states > 1
    assert set(paths.explorations.glob("*")) == before


def test_a_restored_snapshot_brings_the_nodes_own_time_back(lab_node: Node, paths: Paths) -> None:
    """Else every timer that runs on the node would be done at once: systemd's, kubelet's."""
    snapshots = Snapshots(paths, lab_node.machine.domain)
    with lab_node.connection.closed_meanwhile():
        snapshots.save("time")
    later = float(lab_node.connection.succeed("sleep 20; cut -d ' ' -f 1 /proc/uptime"))
    with lab_node.connection.closed_meanwhile():
        snapshots.restore("time")
        lab_node.agent.ask(Clock(time.time()), timeout=LIMIT)
        snapshots.clear()
    assert float(lab_node.connection.succeed("cut -d ' ' -f 1 /proc/uptime")) < later - 10


def test_a_node_without_a_port_is_walked_over_ssh(lab_node: Node) -> None:
    with Agent(lab_node.connection) as agent:
        assert not agent.survives_restore
        agent.ask(Clean(), timeout=300)
        replayer = Replayer(agent, SCRIPTS_ON_NODE[ORIGINAL], LIMIT)
        outcome = replayer.run(schedule.parse(OUTAGE), replayer.reference()).outcome
        replayer.release()
    assert INIT_FAILED in outcome.families["ipv4"].modes
