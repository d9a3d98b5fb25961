"""The command that crosses subjects with scripts and with each other: who hurts whom."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from chainrace.base.errors import UsageError
from chainrace.base.paths import Paths
from chainrace.cli.app import TESTING, check, command
from chainrace.cli.options import ExplorationOptions, KeepOptions, NodeOptions, OutputOptions
from chainrace.judge.compared import Pair
from chainrace.judge.explored import EXIT_OF, HARMFUL, HARMLESS, UNFINISHED
from chainrace.report import matrix as table
from chainrace.report import rows
from chainrace.report.folder import Folder
from chainrace.report.terminal import Terminal
from chainrace.run.matrix import Matrix
from chainrace.settings.subject import against_of, subject_of, subjects


@command(TESTING, "./lab matrix --subject docker FILE", "0 all harmless; 1 one harmful; 3 else")
def matrix(
    scripts: Annotated[
        list[Path] | None,
        typer.Argument(help="Scripts; default: the outage's original and its fix."),
    ] = None,
    *,
    subject: Annotated[
        list[str] | None, typer.Option(help="A subject, again for more; default: all.")
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(help="A subject that each is raced with, too; again for more."),
    ] = None,
    node: NodeOptions,
    exploration: ExplorationOptions,
    keep: KeepOptions,
    output: OutputOptions,
) -> None:
    """Explore each subject with each script, and print who hurts whom.

    --budget is for each pair, and each has results of its own, which stay when it is stopped.
    The same command explores a pair that is not finished from where it was, others anew.
    """
    if node.prepare is not None or exploration.nodes != 1:
        raise UsageError("--prepare and --nodes are for one exploration", "./lab explore --help")
    config, terminal, paths = node.applied(), output.terminal(), Paths()
    named = subject or list(subjects(config))
    chosen = [subject_of(config, name) for name in named]
    others = [
        other
        for name in against or ()
        for one in chosen
        if name != one.name and (other := against_of(config, one, name))
    ]
    if against and not others and not scripts:
        raise UsageError(
            f"there is nothing to cross: {', '.join(against)} cannot be raced with itself",
            "name another subject, or a script",
        )
    for remark in check(config, *(scripts or ())):
        terminal.say(f"note: {remark}")
    crossed = Matrix(
        chosen,
        scripts or ([] if against else [None]),
        list(dict.fromkeys(others)),
        config,
        exploration.options,
        keep.keeping,
    )
    found: list[Pair] = []
    with Folder(paths.results) as folder:
        try:
            for pair in crossed.explore(paths, terminal):
                found.append(pair)
                rows.store(folder.path, table.NAME, found)
        finally:
            _tell(terminal, found)
    raise typer.Exit(_code(found))


def _tell(terminal: Terminal, found: list[Pair]) -> None:
    terminal.table(table.drawn(found))
    for line in table.schedules(found):
        terminal.say(line)
    terminal.data([asdict(one) for one in found])


def _code(found: list[Pair]) -> int:
    verdicts = {one.verdict for one in found}
    if HARMFUL in verdicts:
        return EXIT_OF[HARMFUL]
    return EXIT_OF[HARMLESS if verdicts == {HARMLESS} else UNFINISHED]
