"""The commands of ./lab. Exit codes: 0 confirmed, 1 refuted, 3 inconclusive, 2, 4."""

import os
import re
import signal
import subprocess
import sys
import traceback
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated

import typer

from chainrace import config as configuration
from chainrace import measure as measuring
from chainrace import remedies as comparing
from chainrace import session
from chainrace.errors import LabError, UsageError
from chainrace.force.exploration import Options
from chainrace.force.replay import turns_of
from chainrace.force.run import read_script
from chainrace.gate.backends import Backend
from chainrace.host import box, doctor, libvirt, setup
from chainrace.host.kubelet import pinned
from chainrace.host.packages import missing
from chainrace.kubelets import Generation, compare
from chainrace.node.machine import NODE
from chainrace.paths import Paths
from chainrace.race import schedule as schedules
from chainrace.race.force import EXIT_OF, HARMFUL, conclusion
from chainrace.race.outcome import HEALTHY
from chainrace.race.verdict import EXIT_CODES
from chainrace.report import kubelets as kubelets_report
from chainrace.report import remedies as remedies_report
from chainrace.report import rows
from chainrace.report.folder import Folder
from chainrace.report.force import ForceFolder
from chainrace.report.results import ResultsFolder, judge_again
from chainrace.report.terminal import Terminal

INTERRUPTED_EXIT = 130
DEFAULT_BUDGET = "5m"

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Races a firewall save script against kubelet's start, on real VMs.",
)

NoInstall = Annotated[bool, typer.Option("--no-install", help="Only say what would be installed.")]
Keep = Annotated[bool, typer.Option("--keep", help="Leave the node running afterwards.")]


ScriptFile = Annotated[
    Path | None, typer.Option("--script", help="A script of your own, by its file.")
]
Boot = Annotated[
    bool, typer.Option("--boot", help="Instead of a script, iptables.service starting at boot.")
]
PrepareFile = Annotated[
    Path | None,
    typer.Option("--prepare", help="Run this on the node first: drop-ins, masks. Undone later."),
]
BackendName = Annotated[
    Backend | None, typer.Option("--backend", help="What iptables means on the node.")
]


def _check(script: Path | None, prepare: Path | None, *, boot: bool) -> None:
    """Refuse files that are no scripts before anything is brought up."""
    if boot and script is not None:
        raise UsageError("--boot and --script exclude each other", "give one of them")
    for file in (script, prepare):
        if file is not None:
            read_script(file)


def seconds(text: str) -> float:
    """Read a duration: `90s`, `5m`, `1h`, `1h30m`. Raises UsageError for anything else."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)  # 1h30m
    if not text or not found:
        raise UsageError(f"--budget {text!r} is no duration", "write it like 90s, 5m or 1h30m")
    hours, minutes, rest = (int(part or 0) for part in found.groups())
    total = 3600 * hours + 60 * minutes + rest
    if total == 0:
        raise UsageError("--budget must be longer than nothing", "write it like 90s, 5m or 1h30m")
    return float(total)


def _refuse_install(*, no_install: bool) -> None:
    absent = missing() if no_install else []
    if absent:
        raise LabError(
            f"--no-install: {len(absent)} packages are missing: {' '.join(absent)}",
            "run without --no-install, or as root: apt-get install " + " ".join(absent),
        )


@app.command("doctor")
def doctor_command() -> None:
    """Say what this machine has, and what is missing."""
    terminal = Terminal()
    findings = doctor.examine(Paths())
    for finding in findings:
        terminal.say(f"{'ok     ' if finding.ok else 'missing'} {finding.what}")
        if finding.remedy:
            terminal.say(f"        to do: {finding.remedy}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(LabError.exit_code)


@app.command("setup")
def setup_command(
    *,
    no_install: NoInstall = False,
) -> None:
    """Install and build what is missing; `vagrant up && pytest` works from then on."""
    terminal = Terminal()
    _refuse_install(no_install=no_install)
    host = setup.prepare(Paths(), configuration.load(), terminal.step)
    terminal.say(f"acceleration: {host.acceleration.name} ({host.acceleration.reason})")
    terminal.say("ready: vagrant up && pytest")


@app.command()
def run(
    *,
    trials: Annotated[
        int | None, typer.Option("--trials", min=1, help="Trials of each script.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", help=f"Time for force and trials [{DEFAULT_BUDGET}].")
    ] = None,
    backend: BackendName = None,
    keep: Keep = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print verdict.json.")] = False,
    no_install: NoInstall = False,
) -> None:
    """Race both scripts against kubelet's start, force the fix, and say what that proves."""
    if budget is None and trials is None:
        budget = DEFAULT_BUDGET
    limit = None if budget is None else seconds(budget)
    paths, config = Paths(), configuration.load(backend=backend)
    terminal = Terminal(as_json=as_json)
    _refuse_install(no_install=no_install)
    with session.node_up(paths, config, terminal.step, keep=keep) as node:
        folder = ResultsFolder(paths.results)
        terminal.say(f"racing; results go to {folder.path.relative_to(paths.root)}")
        verdict = session.run(
            paths, config, node, folder, pairs=trials, budget=limit, terminal=terminal
        )
    terminal.verdict(verdict, str(folder.path.relative_to(paths.root)))
    if as_json:
        print((folder.path / "verdict.json").read_text(), end="")
    raise typer.Exit(EXIT_CODES[verdict.word])


@app.command()
def explore(
    *,
    script: ScriptFile = None,
    boot: Boot = False,
    prepare: PrepareFile = None,
    backend: BackendName = None,
    budget: Annotated[
        str | None, typer.Option("--budget", help="Time for exploring; replays come on top.")
    ] = None,
    preemptions: Annotated[
        int | None,
        typer.Option("--preemptions", min=0, help="A quick look: at most so many preemptions."),
    ] = None,
    nodes: Annotated[
        int, typer.Option("--nodes", min=1, max=len(setup.NODES), help="So many nodes share it.")
    ] = 1,
    keep: Keep = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print verdict.json.")] = False,
) -> None:
    """Force every interleaving of a script with kubelet's start; default: both scripts.

    0: no interleaving harms kubelet (both scripts: confirmed); 1: one does; 3: not finished.
    Stopped before its end, the same command goes on where it was.
    """
    _check(script, prepare, boot=boot)
    options = Options(None if budget is None else seconds(budget), preemptions)
    paths, config = Paths(), configuration.load(backend=backend)
    terminal = Terminal(as_json=as_json)
    with ExitStack() as stack:
        up = [
            stack.enter_context(session.node_up(paths, config, terminal.step, keep=keep, name=name))
            for name in setup.NODES[:nodes]
        ]
        chosen = stack.enter_context(session.scripts(up, script, prepare, boot=boot))
        folder = ForceFolder(paths.results)
        terminal.say(f"exploring; results go to {folder.path.relative_to(paths.root)}")
        explored = session.explore(
            paths, config, up, scripts=chosen, options=options, folder=folder, teller=terminal
        )
    for one in explored.values():
        terminal.explored(one)
    word, reason = conclusion(explored)
    terminal.word(word, reason, str(folder.path.relative_to(paths.root)))
    if as_json:
        print((folder.path / "verdict.json").read_text(), end="")
    raise typer.Exit(EXIT_OF[word])


@app.command()
def replay(
    name: Annotated[str, typer.Argument(help="A schedule, as in 's1 k7 s* k*'.")],
    *,
    script: ScriptFile = None,
    boot: Boot = False,
    prepare: PrepareFile = None,
    backend: BackendName = None,
    times: Annotated[int, typer.Option("--times", min=1, help="So often.")] = 1,
    keep: Keep = False,
) -> None:
    """Run exactly one schedule, from a fresh start (default script: the original).

    0: kubelet stayed healthy every time; 1: it was harmed.
    """
    try:
        schedule = schedules.parse(name)
    except ValueError as error:
        raise UsageError(str(error), "write it as in: ./lab replay 's1 k7 s* k*'") from error
    turns_of(schedule)
    _check(script, prepare, boot=boot)
    paths, config, terminal = Paths(), configuration.load(backend=backend), Terminal()
    with (
        session.node_up(paths, config, terminal.step, keep=keep) as node,
        session.scripts([node], script, prepare, boot=boot) as chosen,
    ):
        folder = Folder(paths.results)
        outcomes = session.replay(
            config,
            node,
            script=chosen[-1],
            schedule=schedule,
            times=times,
            folder=folder.path,
            terminal=terminal,
        )
    terminal.say(f"evidence: {folder.path.relative_to(paths.root)}")
    raise typer.Exit(0 if set(outcomes) == {HEALTHY} else EXIT_OF[HARMFUL])


@app.command()
def test() -> None:
    """Lint, types, unit tests, and the suites on the VM, as tox.ini has them."""
    paths = Paths()
    with session.libvirt_as_found(paths):
        setup.prepare(paths, configuration.load(), Terminal().step)
        # All of it, whatever TOXENV or TOX_SKIP_ENV this shell may have.
        env = {name: value for name, value in os.environ.items() if not name.startswith("TOX")}
        done = subprocess.run(
            [sys.executable, "-m", "tox", "run", "-e", "lint,types,unit,node"],
            cwd=paths.root,
            env=env,
            check=False,
        )
    raise typer.Exit(done.returncode)


@app.command()
def judge(folder: Annotated[Path, typer.Argument(help="A folder under results/.")]) -> None:
    """Judge a stored run again from its trials; no VM is needed."""
    verdict = judge_again(folder)
    Terminal().verdict(verdict, str(folder))
    raise typer.Exit(EXIT_CODES[verdict.word])


@app.command()
def kubelets(
    versions: Annotated[
        list[str] | None, typer.Argument(help="Which; default: all that are pinned.")
    ] = None,
    *,
    backend: BackendName = None,
    draw: Annotated[
        Path | None, typer.Option("--draw", help="Draw docs/kubelets.md from a stored run.")
    ] = None,
) -> None:
    """Compare kubelet's versions: what each does at its start, and whether the bug is there."""
    paths, config, terminal = Paths(), configuration.load(backend=backend), Terminal()
    if draw is None:
        folder = Folder(paths.results).path
        found: list[Generation] = []
        for one in compare(paths, config, versions or pinned(paths), terminal.step):
            found.append(one)
            rows.store(folder, kubelets_report.NAME, found)
    else:
        folder = draw
    page = kubelets_report.draw(rows.load(folder, kubelets_report.NAME, Generation))
    (paths.root / "docs" / "kubelets.md").write_text(page)
    terminal.say(f"drawn: docs/kubelets.md, from {folder}")


@app.command()
def remedies(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Which; default: all of examples/remedies.")
    ] = None,
    *,
    backend: BackendName = None,
    budget: Annotated[str | None, typer.Option("--budget", help="Time for each.")] = None,
    draw: Annotated[
        Path | None, typer.Option("--draw", help="Draw docs/remedies.md from a stored run.")
    ] = None,
    keep: Keep = False,
) -> None:
    """Explore remedies by force and compare them; writes docs/remedies.md."""
    paths, config, terminal = Paths(), configuration.load(backend=backend), Terminal()
    if draw is None:
        options = Options(None if budget is None else seconds(budget))
        folder = _explore_remedies(paths, config, folders, options, terminal, keep=keep)
    else:
        folder = draw
    page = remedies_report.draw(rows.load(folder, remedies_report.NAME, comparing.Compared))
    (paths.root / "docs" / "remedies.md").write_text(page)
    terminal.say(f"drawn: docs/remedies.md, from {folder}")


def _explore_remedies(
    paths: Paths,
    config: configuration.LabConfig,
    folders: list[Path] | None,
    options: Options,
    terminal: Terminal,
    *,
    keep: bool,
) -> Path:
    """Explore remedies; returns the folder that has what came out of each."""
    named = folders or sorted((paths.root / "examples" / "remedies").iterdir())
    chosen = [comparing.load(folder) for folder in named]
    kept = Folder(paths.results).path
    found = []
    with session.node_up(paths, config, terminal.step, keep=keep) as node:
        for one, explored, folder in comparing.compare(
            paths, config, node, chosen, options=options, teller=terminal
        ):
            terminal.explored(explored)
            terminal.word(explored.word, explored.reason, str(folder.relative_to(paths.root)))
            found.append(one)
            rows.store(kept, remedies_report.NAME, found)
    return kept


@app.command()
def measure(
    *,
    runs: Annotated[
        bool, typer.Option("--runs", help="Also ./lab run, cold and warm, in a fresh clone.")
    ] = False,
) -> None:
    """Measure the figures of docs/performance.md on this machine."""
    paths, terminal = Paths(), Terminal()
    with session.libvirt_as_found(paths):
        figures = list(measuring.measure(paths, configuration.load(), terminal.step))
    if runs:
        figures += measuring.measure_runs(paths, terminal.step)
    terminal.say(measuring.HEADER)
    for figure in figures:
        terminal.say(figure.row())


@app.command()
def ssh(name: Annotated[str, typer.Argument(help="Which node.")] = NODE) -> None:
    """A shell on a node that is up."""
    paths = Paths()
    if not paths.ssh_config.exists():
        raise LabError("this clone is not set up yet", "./lab setup")
    os.execvp("ssh", ["ssh", "-F", str(paths.ssh_config), name])


@app.command()
def down() -> None:
    """End everything of this clone that runs: nodes, libvirt, network, namespace."""
    paths = Paths()
    libvirt.stop(paths)
    box.forget(paths)


def _interrupt(signum: int, frame: object) -> None:
    del signum, frame
    raise KeyboardInterrupt


def main() -> None:
    """Run one command; every error is a line or two, never a traceback."""
    # SIGTERM ends a run as Ctrl-C does: what was measured is judged and kept.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as ended:  # typer's own way to end, also on Ctrl-C
        if ended.code == INTERRUPTED_EXIT:
            print("lab: interrupted; what was measured is kept", file=sys.stderr)
        raise
    except Exception as error:  # noqa: BLE001 - exit code 1 would mean "refuted"
        log = Paths().logs / "error.log"
        with suppress(OSError):
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(traceback.format_exc())
        print(f"lab: {type(error).__name__}: {error}\n  to do: see {log}", file=sys.stderr)
        sys.exit(LabError.exit_code)
