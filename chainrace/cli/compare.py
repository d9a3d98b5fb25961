"""Commands that set one thing beside others: runs, kubelets, mitigations."""

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from chainrace.base.errors import LabError
from chainrace.base.files import write_whole
from chainrace.base.paths import Paths
from chainrace.cli.app import DEVELOPING, INSPECTING, check, command
from chainrace.cli.options import BackendName, KeepOptions, OutputOptions, seconds
from chainrace.explore.options import Options
from chainrace.host.kubernetes import pinned
from chainrace.judge.compared import Compared, Generation
from chainrace.report import comparison, rows, verdict
from chainrace.report import kubelets as kubelets_report
from chainrace.report import mitigations as mitigations_report
from chainrace.report.folder import Folder
from chainrace.report.terminal import Terminal
from chainrace.run import mitigations as comparing
from chainrace.run import session
from chainrace.run.kubelets import compare as compare_kubelets
from chainrace.settings import config as configuration
from chainrace.settings.keeping import Keeping


@command(DEVELOPING, "./lab kubelets 1.34.4", "0")
def kubelets(
    versions: Annotated[
        list[str] | None, typer.Argument(help="Which; default: all that are pinned.")
    ] = None,
    *,
    backend: BackendName = None,
    draw: Annotated[
        list[Path] | None,
        typer.Option("--draw", help="Draw docs/kubelets.md from stored runs; a later one counts."),
    ] = None,
    output: OutputOptions,
) -> None:
    """Compare kubelet's versions: what each does at its start, and whether the bug is there."""
    paths, config, terminal = Paths(), configuration.load(backend=backend), output.terminal()
    if draw is None:
        draw = _compare_kubelets(config, versions or pinned(paths), terminal)
    read = rows.merged(
        draw, kubelets_report.NAME, Generation, key=lambda one: (one.version, one.backend)
    )
    _write(paths.root / "docs" / "kubelets.md", kubelets_report.draw(read))
    terminal.answer(f"drawn: docs/kubelets.md, from {', '.join(map(str, draw))}")
    terminal.data([asdict(one) for one in read])


def _compare_kubelets(
    config: configuration.LabConfig, versions: list[str], terminal: Terminal
) -> list[Path]:
    """Compare versions; returns the one folder that has what came out of each."""
    for version in versions:
        check(configuration.with_kubelet(config, version))
    paths = Paths()
    kept: list[Path] = []
    found: list[Generation] = []
    with ExitStack() as stack:
        for one in compare_kubelets(paths, config, versions, terminal.step):
            # Nothing is made before a node was there.
            kept = kept or [stack.enter_context(Folder(paths.results)).path]
            found.append(one)
            rows.store(kept[0], kubelets_report.NAME, found)
    return kept


def _write(file: Path, text: str) -> None:
    try:
        write_whole(file, text)
    except OSError as error:
        raise LabError(f"{file} cannot be written: {error.strerror}", "mend that") from error


@command(DEVELOPING, "./lab mitigations examples/mitigations/fix", "0")
def mitigations(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Which; default: all of examples/mitigations.")
    ] = None,
    *,
    backend: BackendName = None,
    budget: Annotated[str | None, typer.Option("--budget", help="Time for each.")] = None,
    draw: Annotated[
        list[Path] | None,
        typer.Option("--draw", help="Draw docs/mitigations.md from stored runs."),
    ] = None,
    keep: KeepOptions,
    output: OutputOptions,
) -> None:
    """Explore mitigations exhaustively and compare them; writes docs/mitigations.md."""
    paths, config, terminal = Paths(), configuration.load(backend=backend), output.terminal()
    if draw is None:
        options = Options(seconds(budget))
        draw = [_explore_mitigations(config, folders, options, terminal, keep.keeping)]
    read = rows.merged(
        draw, mitigations_report.NAME, Compared, key=lambda one: (one.name, one.backend)
    )
    _write(paths.root / "docs" / "mitigations.md", mitigations_report.draw(read))
    terminal.answer(f"drawn: docs/mitigations.md, from {', '.join(map(str, draw))}")
    terminal.data([asdict(one) for one in read])


def _explore_mitigations(
    config: configuration.LabConfig,
    folders: list[Path] | None,
    options: Options,
    terminal: Terminal,
    keeping: Keeping,
) -> Path:
    """Explore mitigations; returns the folder that has what came out of each."""
    paths = Paths()
    named = folders or sorted((paths.root / "examples" / "mitigations").iterdir())
    chosen = comparing.load_all(named)
    check(config)
    found = []
    with (
        session.node_up(paths, config, terminal.step, keeping) as node,
        Folder(paths.results) as kept,
    ):
        for one, explored, folder in comparing.compare(
            paths, config, node, chosen, options=options, teller=terminal
        ):
            terminal.explored(explored)
            terminal.closing(explored.verdict, explored.reason, str(folder.relative_to(paths.root)))
            found.append(one)
            rows.store(kept.path, mitigations_report.NAME, found)
    return kept.path


@command(
    INSPECTING,
    "./lab compare results/latest",
    "0 nothing that matters changed; 1 something did",
    name="compare",
)
def compare_runs(
    after: Annotated[Path, typer.Argument(help="A folder under results/.")],
    before: Annotated[
        Path | None, typer.Argument(help="The run before it; default: the last good one.")
    ] = None,
    *,
    output: OutputOptions,
) -> None:
    """Say what changed since another run of the same: 0 nothing that matters, 1 something."""
    other = before or comparison.last_good(after)
    found = comparison.changes(verdict.read(other), verdict.read(after))
    output.terminal().changes(found, str(other), str(after))
    raise typer.Exit(int(any(change.matters for change in found)))
