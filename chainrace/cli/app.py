"""The program itself, and the options that several commands share."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from chainrace import config, origin
from chainrace.config import Bus, ImageConfig, LabConfig
from chainrace.errors import LabError, UsageError
from chainrace.gate.backends import Backend
from chainrace.host import setup
from chainrace.host.packages import missing
from chainrace.keeping import Keep, Keeping
from chainrace.paths import Paths
from chainrace.report import folder as results
from chainrace.report import page, verdict
from chainrace.report.terminal import Terminal
from chainrace.scripts import look_at

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
KeepNode = Annotated[
    Keep, typer.Option("--keep", help="Leave the node running afterwards: never, failed, always.")
]
ShellOnFailure = Annotated[
    bool, typer.Option("--shell-on-failure", help="Open a shell on the node where it failed.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print verdict.json.")]
ScriptFile = Annotated[
    Path | None, typer.Option("--script", help="A script of your own, by its file.")
]
ExitCode = Annotated[
    int | None,
    typer.Option(
        "--exit",
        min=0,
        max=config.MOST_EXIT,
        help="The code that the script of your own is to end with here [0].",
    ),
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
ImageFile = Annotated[
    Path | None,
    typer.Option("--image", help="A node image of your own: qcow2, raw, VHD or VHDX."),
]
ImageUser = Annotated[
    str | None, typer.Option("--user", help="Who may log in to an image that takes no seed.")
]
ImageKey = Annotated[Path | None, typer.Option("--key", help="And the private key of that user.")]
ImageBus = Annotated[
    Bus | None, typer.Option("--bus", help="What the disk of the image hangs on (virtio).")
]


def command(
    group: str, example: str, codes: str, *, name: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command: its group in the help, and below it an example and exit codes."""
    epilog = f"Example: {example}\n\nExit codes: {codes}. {ALWAYS}"
    return app.command(name, rich_help_panel=group, epilog=epilog)


def keeping(keep: Keep, *, shell: bool) -> Keeping:
    """What is to become of the node. Raises UsageError for a shell without a terminal."""
    if shell and not sys.stdin.isatty():
        raise UsageError(
            "--shell-on-failure needs a terminal", "give --keep failed, then ./lab ssh"
        )
    return Keeping(keep, shell)


def seconds(text: str | None) -> float | None:
    """What --budget says, in seconds; None without it. Raises UsageError for no duration."""
    try:
        return None if text is None else config.seconds(text)
    except ValueError as error:
        raise UsageError(f"--budget {error}", "see ./lab run --help") from error


def check(config: LabConfig, *scripts: Path | None) -> list[str]:
    """Refuse whatever a call or lab.toml names and is not there, before anything is begun.

    Returns remarks on scripts that may be run, and are odd. Raises UsageError for a file that is
    not what it should be, LabError for a clone that can carry no lab or keep no results.
    """
    remarks = [f"{one.name}: {said}" for one in scripts if one and (said := look_at(one))]
    setup.check(Paths(), config)
    results.check(Paths().results)
    return remarks


def expected(code: int | None, script: Path | None) -> int:
    """What --exit says. Raises UsageError where no script of the user's own is named."""
    if code is not None and script is None:
        raise UsageError("--exit is about a script of your own", "name it, too: --script FILE")
    return code or 0


def image_of(
    file: Path | None, user: str | None, key: Path | None, bus: Bus | None
) -> ImageConfig | None:
    """The image that a call names, None where it names none. Raises UsageError."""
    given = {"user": user, "key": key and str(key.absolute()), "bus": bus}
    named = {name: value for name, value in given.items() if value is not None}
    if file is None:
        if named:
            raise UsageError("--user, --key and --bus are about an image", "name one: --image FILE")
        return None
    try:
        return ImageConfig.model_validate({"path": str(file.absolute()), **named})
    except ValidationError as error:
        raise UsageError(f"--image: {error.errors()[0]['msg']}", "see --help") from error


def tell_rest(terminal: Terminal, folder: Path, *, as_json: bool) -> None:
    """What a command says after its verdict: its known-bad log lines, and where the page is."""
    document = verdict.read(folder)
    findings = verdict.findings_in(document)
    terminal.findings(findings, [verdict.again(document, folder, one) for one in findings])
    terminal.known_bad_lines(document["known_bad_lines"])
    terminal.say(f"page: {(folder / page.NAME).relative_to(Paths().root)}")
    if as_json:
        print(json.dumps(document))


def refuse_install(*, no_install: bool) -> None:
    """Raise LabError where packages are missing and none may be installed."""
    absent = missing() if no_install else []
    if absent:
        raise LabError(
            f"--no-install: {len(absent)} packages are missing: {' '.join(absent)}",
            "run without --no-install, or as root: apt-get install " + " ".join(absent),
        )
