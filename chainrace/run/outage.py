"""The outage end to end: both scripts beside kubelet's start in a cluster, and repairs."""

from collections.abc import Sequence
from pathlib import Path

from chainrace.base.errors import LabError, UsageError
from chainrace.base.paths import Paths
from chainrace.explore.preparation import pristine
from chainrace.host.holding import held
from chainrace.judge.cluster import Repair, Start
from chainrace.judge.verdict import FIXED, ORIGINAL, Verdict
from chainrace.node.listening import Listening
from chainrace.node.machine import NODE
from chainrace.node.node import Booted
from chainrace.node.ssh import Connection
from chainrace.report.killed import conclude_killed
from chainrace.report.results import ResultsFolder, judge_again
from chainrace.report.terminal import Terminal
from chainrace.run import cluster, session
from chainrace.run.afterwards import afterwards
from chainrace.run.origin import origin_of
from chainrace.run.scenario import conclude, folder_of, scripts_of
from chainrace.run.wholenode import MIDWAY, OUTAGE, Plan, WholeNode
from chainrace.settings.scenario import Chosen

# The outage's pod crashed for longer.
WATCH_SECONDS = 300.0


def run(paths: Paths, chosen: Chosen, *, terminal: Terminal) -> tuple[Verdict, Path]:
    """A scenario in a cluster of its own: the verdict, and the folder that all of it lies in.

    Whatever is interrupted, what was seen so far is kept. Raises UsageError and LabError.
    """
    if chosen.prepare is not None:
        raise UsageError("--prepare is for an exploration", "leave it out of this scenario")
    cluster.check(paths, chosen.config)
    with held(paths):
        cluster.refuse_second(paths)
        conclude_killed(paths.results, terminal.note)
        try:
            return _run(paths, chosen, terminal)
        finally:
            cluster.down(paths)


def _run(paths: Paths, chosen: Chosen, terminal: Terminal) -> tuple[Verdict, Path]:
    plane, host, machine = cluster.joined(paths, chosen.config, terminal.step)
    with (
        Connection(paths.ssh_config, NODE) as connection,
        session.provisioned(
            paths, chosen.config, terminal.step, Booted(host, machine, connection, None, 0)
        ) as node,
    ):
        original, fixed = scripts_of(chosen, [node])
        # How many steps a script of one's own makes before it harms, nobody knows.
        schedules = (MIDWAY, OUTAGE) if chosen.script else (OUTAGE,)
        plans = [Plan(FIXED, fixed, one) for one in schedules]
        with folder_of(paths, chosen, terminal) as folder:
            folder.made_by(origin_of(chosen.config, node, [original, fixed]))
            folder.node(node.identity)
            listening = Listening(paths, node, chosen.expected_lines)
            finished: list[bool] = []

            def judged() -> None:
                conclude(folder, node.identity, listening, terminal, interrupted=not finished)

            limits = chosen.config.limits
            with (
                afterwards(judged, terminal.note),
                pristine(paths, [node], limits.trial) as (snapshots,),
            ):
                if snapshots is None:
                    raise LabError("the node's line does not outlive a snapshot", "./lab doctor")
                whole = WholeNode(paths, node, snapshots, plane, limits=limits)
                _take(whole, [*plans, Plan(ORIGINAL, original, OUTAGE)], folder, terminal)
                finished.append(True)
    return judge_again(folder.path), folder.path


def _take(
    whole: WholeNode,
    plans: Sequence[Plan],
    folder: ResultsFolder,
    terminal: Terminal,
) -> None:
    """Both scripts, and where the original, the last one, has harmed all that may repair it."""
    with terminal.step("taking the reference: kubelet's clean start"):
        whole.take_reference()
    starts: list[Start] = []
    repairs: list[Repair] = []
    for number, plan in enumerate(plans, 1):
        terminal.note(f"{plan.script.name} by {plan.schedule}; kubectl get pods -A --watch:")
        where = folder.path / "cluster" / f"{number}-{plan.role}"
        where.mkdir(parents=True)
        starts.append(whole.start(plan, WATCH_SECONDS, where, terminal.note))
        folder.cluster(starts, repairs)
    if not starts[-1].crashloops:
        return
    for action in whole.repairs:
        terminal.note(f"{ORIGINAL} again, and then: {action}")
        repairs.append(whole.repair(action, plans[-1].script, terminal.note))
        folder.cluster(starts, repairs)
