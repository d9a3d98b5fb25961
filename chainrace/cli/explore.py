"""Commands of exhaustive exploration: explore, replay."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from chainrace.base.errors import UsageError
from chainrace.base.paths import Paths
from chainrace.cli.app import TESTING, check, command, show_rest
from chainrace.cli.options import (
    AgainstName,
    Boot,
    ExplorationOptions,
    KeepOptions,
    NodeOptions,
    OutputOptions,
    ScriptOptions,
    SubjectName,
)
from chainrace.host import setup
from chainrace.judge.explored import EXIT_OF, HARMFUL, conclusion
from chainrace.judge.exposure import NOT_EXPOSED, why_not_exposed
from chainrace.model.mode import HEALTHY
from chainrace.report.explored import ExplorationFolder
from chainrace.report.folder import Folder
from chainrace.report.terminal import Terminal
from chainrace.run import exploring, session
from chainrace.run.again import Again, again, schedule_of
from chainrace.settings import config as configuration
from chainrace.settings.keeping import Keeping
from chainrace.settings.subject import against_of, subject_of, with_needs


@command(
    TESTING,
    "./lab explore --script FILE --first",
    "0 harmless or confirmed; 1 harmful or refuted; 3 anything that was not shown",
)
def explore(
    *,
    script: ScriptOptions,
    boot: Boot = False,
    subject: SubjectName = None,
    against: AgainstName = None,
    node: NodeOptions,
    exploration: ExplorationOptions,
    keep: KeepOptions,
    output: OutputOptions,
) -> None:
    """Execute every interleaving of a script with kubelet's start; default: both scripts.

    0: no order of whole processes harms kubelet (both scripts: confirmed); 1: one does; 3: not
    finished, not proved, not exercised, not reproduced.
    Stopped before its end, the same command goes on where it was.
    """
    _refuse_both(script.script, against, boot=boot)
    expect, options = script.expect, exploration.options
    kept, terminal = keep.keeping, output.terminal()
    config = node.applied()
    raced = subject_of(config, subject)
    other = against_of(config, raced, against)
    config = with_needs(config, raced, other)
    remarks = check(config, script.script, node.prepare)
    paths = Paths()
    for remark in remarks:
        terminal.say(f"note: {remark}")
    with ExitStack() as stack:
        up = [
            stack.enter_context(session.node_up(paths, config, terminal.step, kept, name=name))
            for name in setup.NODES[: exploration.nodes]
        ]
        found = up[0].found
        if (
            found
            and raced.by_family
            and script.script is None
            and other is None
            and (reason := why_not_exposed(found))
        ):
            terminal.answer(f"{NOT_EXPOSED}: {reason}; the image is {found}")
            raise typer.Exit(EXIT_OF[NOT_EXPOSED])
        chosen = stack.enter_context(
            exploring.scripts(
                up,
                script.script,
                node.prepare,
                boot=boot,
                expect=expect,
                subject=raced,
                against=other,
            )
        )
        folder = ExplorationFolder(paths.results, config.image.options if config.image else ())
        terminal.note(f"exploring; results go to {folder.path.relative_to(paths.root)}")
        with folder:
            explored = exploring.explore(
                paths, config, up, scripts=chosen, options=options, folder=folder, teller=terminal
            )
        verdict, reason = conclusion(explored, [one.name for one in chosen])
        if EXIT_OF[verdict] != 0:
            kept.failure = f"{verdict}: {reason}"
    for one in explored.values():
        terminal.explored(one)
    terminal.closing(verdict, reason, str(folder.path.relative_to(paths.root)))
    show_rest(terminal, folder.path)
    raise typer.Exit(EXIT_OF[verdict])


@command(TESTING, "./lab replay 's2 k8 s* k*'", "0 healthy every time; 1 harmed")
def replay(
    what: Annotated[
        str | None,
        typer.Argument(help="A schedule, as in 's2 k8 s* k*'; with --from a finding's number [1]."),
    ] = None,
    *,
    origin: Annotated[
        Path | None,
        typer.Option("--from", help="Results: their script, node and finding, nothing else."),
    ] = None,
    of: Annotated[
        str | None, typer.Option("--of", help="One of the scripts that the results keep.")
    ] = None,
    script: ScriptOptions,
    boot: Boot = False,
    subject: SubjectName = None,
    against: AgainstName = None,
    node: NodeOptions,
    times: Annotated[
        int, typer.Option(min=1, max=configuration.MOST_TIMES, help="The number of replays.")
    ] = 1,
    keep: KeepOptions,
    output: OutputOptions,
) -> None:
    """Execute exactly one schedule, from a fresh start (default script: the original).

    With --from it is a finding of a run or an exploration, with its script, --prepare, kubelet,
    image and backend. 0: kubelet stayed healthy every time; 1: it was harmed.
    """
    if origin is not None:
        if boot or script.named or node.named or subject or against:
            raise UsageError(
                "--from brings the script, the node and all that they were run by",
                "give only a finding's number or a schedule, and --of",
            )
        chosen = again(origin, what, of, configuration.load())
    else:
        if what is None:
            raise UsageError("a schedule or --from is missing", "./lab replay --help")
        if of is not None:
            raise UsageError("--of is about results", "name them, too: --from FOLDER")
        _refuse_both(script.script, against, boot=boot)
        config = node.applied()
        raced = subject_of(config, subject)
        other = against_of(config, raced, against)
        told, schedule = schedule_of(what)
        chosen = Again(
            config=with_needs(config, raced, other),
            name="",
            script=script.script,
            prepare=node.prepare,
            expect=script.expect,
            boot=boot,
            schedule=schedule,
            found="",
            subject=raced,
            against=other,
            told=told,
        )
    _replay(chosen, times, keep.keeping, output.terminal())


def _replay(chosen: Again, times: int, kept: Keeping, terminal: Terminal) -> None:
    """Run a schedule so often, and end with what that led to."""
    chosen.refuse_unfit()
    remarks = check(chosen.config, chosen.script, chosen.prepare)
    paths = Paths()
    for remark in remarks:
        terminal.say(f"note: {remark}")
    if chosen.found:
        terminal.say(f"finding {chosen.found}")
    with (
        session.node_up(paths, chosen.config, terminal.step, kept) as node,
        exploring.scripts(
            [node],
            chosen.script,
            chosen.prepare,
            boot=chosen.boot and chosen.script is None,
            expect=chosen.expect,
            subject=chosen.subject,
            against=chosen.against,
        ) as scripts,
        Folder(paths.results) as folder,
    ):
        script = chosen.as_it_was(scripts[-1])
        outcomes = exploring.replay(
            paths,
            chosen.config,
            node,
            script=script,
            schedule=chosen.schedule,
            times=times,
            folder=folder.path,
            terminal=terminal,
        )
        if set(outcomes) != {HEALTHY}:
            kept.failure = f"{chosen.schedule} ended {', '.join(sorted(set(outcomes)))}"
    where = str(folder.path.relative_to(paths.root))
    terminal.say(f"schedule: {script.race}: {chosen.schedule}")
    terminal.say(f"evidence: {where}")
    told = {"schedule": str(chosen.schedule), "race": str(script.race)}
    terminal.data({**told, "outcomes": outcomes, "evidence": where})
    raise typer.Exit(0 if set(outcomes) == {HEALTHY} else EXIT_OF[HARMFUL])


def _refuse_both(script: Path | None, against: str | None, *, boot: bool) -> None:
    given = {"--boot": boot, "--script": script is not None, "--against": against is not None}
    named = [name for name, is_given in given.items() if is_given]
    if len(named) > 1:
        raise UsageError(f"{' and '.join(named)} exclude each other", "give one of them")
