"""The program itself, and what several commands do alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.cli.options import grouped
from chainrace.host import setup
from chainrace.host.packages import missing
from chainrace.report import folder as results
from chainrace.report import page, verdict
from chainrace.report.terminal import Terminal
from chainrace.run import origin
from chainrace.settings.config import LabConfig
from chainrace.settings.scripts import look_at

# Of every command, whatever its verdict.
ALWAYS = "Exit codes of all: 2 wrong usage, 4 unusable environment, 130 interrupted."
TESTING, INSPECTING = "Test", "Inspect results"
ENVIRONMENT, DEVELOPING = "Environment", "Develop"
GROUPS = (TESTING, INSPECTING, ENVIRONMENT, DEVELOPING)  # in the order of the help


def _tell_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    if asked:
        print(f"chainrace {origin.version()}, commit {origin.commit()}")
        raise typer.Exit


app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Finds races between programs that set firewall rules on a Kubernetes node, on real VMs.",
    epilog=f"Example: ./lab explore --script FILE. {ALWAYS}",
)


@app.callback()
def _whole_program(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    del version  # told by its callback


NoInstall = Annotated[bool, typer.Option("--no-install", help="Only say what would be installed.")]


def command(
    group: str,
    example: str,
    codes: str,
    *,
    name: str | None = None,
    within: typer.Typer = app,
    hands_on: bool = False,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command: its group in the help, and below it an example and exit codes.

    `within` is the command that it belongs to (`cluster up`), the program itself by default. One
    that `hands_on` takes any option, as a word.
    """
    epilog = f"Example: {example}\n\nExit codes: {codes}. {ALWAYS}"

    def register(function: Callable[..., None]) -> Callable[..., None]:
        settings = {"ignore_unknown_options": True, "allow_interspersed_args": False}
        within.command(
            name,
            rich_help_panel=group,
            epilog=epilog,
            context_settings=settings if hands_on else None,
        )(grouped(function))
        return function

    return register


def check(config: LabConfig, *scripts: Path | None) -> list[str]:
    """Refuse whatever a call or lab.toml names and is not there, before anything is begun.

    Returns remarks on scripts that may be run, and are odd. Raises UsageError for a file that is
    not what it should be, LabError for a clone that can carry no lab or keep no results.
    """
    remarks = [f"{one.name}: {said}" for one in scripts if one and (said := look_at(one))]
    setup.check(Paths(), config)
    results.check(Paths().results)
    return remarks


def show_rest(terminal: Terminal, folder: Path) -> None:
    """What a command says after its verdict: its known-bad log lines, and where the page is."""
    document = verdict.read(folder)
    findings = verdict.findings_in(document)
    terminal.findings(findings, [verdict.again(document, folder, one) for one in findings])
    terminal.known_bad_lines(document["known_bad_lines"])
    terminal.say(f"page: {(folder / page.NAME).relative_to(Paths().root)}")
    terminal.data(document)


def refuse_install(*, no_install: bool) -> None:
    """Raise LabError where packages are missing and none may be installed."""
    absent = missing() if no_install else []
    if absent:
        raise LabError(
            f"--no-install: {len(absent)} packages are missing: {' '.join(absent)}",
            "run without --no-install, or as root: apt-get install " + " ".join(absent),
        )
