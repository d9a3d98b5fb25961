"""Scripts on nodes that are up: explored exhaustively, or one schedule replayed."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from chainrace.base.paths import Paths
from chainrace.explore.options import Options
from chainrace.explore.preparation import brought, prepared, pristine
from chainrace.explore.replay import Replayer
from chainrace.explore.run import ExplorationRun, Teller
from chainrace.explore.scripts import Script, bring_script, script_on, unit_as_script
from chainrace.judge.explored import Explored
from chainrace.judge.verdict import FIXED, ORIGINAL
from chainrace.model.schedule import Schedule
from chainrace.model.subject import Subject
from chainrace.node.listening import Listening
from chainrace.node.node import Node
from chainrace.report import made_by, views
from chainrace.report.explored import ExplorationFolder, write_replay
from chainrace.report.terminal import Terminal
from chainrace.run.afterwards import afterwards
from chainrace.run.origin import origin_of
from chainrace.run.trials import SCRIPTS_ON_NODE
from chainrace.settings.config import LabConfig
from chainrace.settings.scripts import look
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET

BOOT = "boot"
BOOT_ON_NODE = "/usr/local/lib/chainrace/save/boot.sh"


def explore(
    paths: Paths,
    config: LabConfig,
    nodes: list[Node],
    *,
    scripts: list[Script],
    options: Options,
    folder: ExplorationFolder,
    teller: Teller,
) -> dict[str, Explored]:
    """Explore scripts and write verdict.json, also when interrupted midway.

    With two scripts they are the outage's original and its fix, and the verdict is
    theirs; with one it is that script's own verdict. Returns what was found, by script.
    """
    origin = origin_of(config, nodes[0], scripts)
    folder.made_by(origin)
    explored: dict[str, Explored] = {}
    finished: list[str] = []
    listening = [Listening(paths, node) for node in nodes]

    def conclude() -> None:
        folder.conclude(
            explored,
            nodes[0].identity,
            wanted=[script.name for script in scripts],
            known_bad_lines=[said for one in listening for said in one.take(folder.path)],
            interrupted=len(finished) < len(scripts),
        )
        views.draw_after(folder.path, teller.note)

    def take_in(run: ExplorationRun, name: str) -> None:
        kept = origin.scripts.get(name)
        remark = look(kept.text)[0] if kept else ""
        explored[name] = with_remark(run.explored, remark)
        folder.end_states(explored[name])

    with afterwards(conclude, teller.note):
        for script in scripts:
            run = ExplorationRun(
                paths,
                nodes,
                script,
                options,
                limit=config.limits.trial,
                teller=teller,
                keep=partial(folder.keep, script.name),
            )
            with afterwards(partial(take_in, run, script.name), teller.note):
                run.run()
            finished.append(script.name)
    return explored


def with_remark(explored: Explored, remark: str) -> Explored:
    """The same with one more remark, if there is one."""
    return replace(explored, remark="; ".join(filter(None, (explored.remark, remark))))


@contextmanager
def scripts(
    nodes: list[Node],
    file: Path | None,
    prepare: Path | None,
    *,
    boot: bool,
    expect: int = 0,
    subject: Subject = KUBELET,
    against: Subject | None = None,
) -> Iterator[list[Script]]:
    """A script of the user's own, or the service's start at boot, or the fix and the original.

    Or `against`, a unit in a script's place. On nodes on which `prepare` has run, until this is
    left. `expect` is the code that they are to end with. Raises UsageError and LabError.
    """
    with ExitStack() as stack:
        how = stack.enter_context(prepared(nodes, prepare))
        for one in filter(None, (subject, against)):
            stack.enter_context(brought(nodes, one))
        if against is not None:
            chosen = [unit_as_script(against)]
        elif boot:
            chosen = [replace(script_on(nodes[0], BOOT, BOOT_ON_NODE), boot=True)]
        elif file is not None:
            chosen = [bring_script(nodes, file)]
        else:
            chosen = [
                script_on(nodes[0], name, SCRIPTS_ON_NODE[name]) for name in (FIXED, ORIGINAL)
            ]
        yield [replace(one, prepared=how, expect=expect, subject=subject) for one in chosen]


def replay(
    paths: Paths,
    config: LabConfig,
    node: Node,
    *,
    script: Script,
    schedule: Schedule,
    times: int,
    folder: Path,
    terminal: Terminal,
) -> list[str]:
    """Replay a schedule and tell each outcome; the evidence of each goes into the folder.

    Each time from the same disk, where the node's line outlives that. Raises LabError.
    """
    made_by.keep(folder, origin_of(config, node, [script]))
    limit = config.limits.trial
    outcomes: list[str] = []
    with pristine(paths, [node], limit) as (snapshots,):
        replayer = Replayer(
            node.agent,
            script.path,
            limit,
            boot=script.boot,
            snapshots=snapshots,
            subject=script.subject,
            other=script.other,
        )
        with terminal.step(f"taking the reference: the clean start of {script.subject.name}"):
            reference = replayer.reference()
        for number in range(1, times + 1):
            replayed = replayer.run(schedule, reference, each=True)
            write_replay(folder / f"{number:03d}", replayed)
            terminal.replayed(replayed, number, times)
            outcomes.append(replayed.outcome.name)
        replayer.release()
    return outcomes
