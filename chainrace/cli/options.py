"""The options that commands share: each group stands here once, and means the same everywhere."""

import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from pydantic import ValidationError

from chainrace.base.errors import UsageError
from chainrace.base.paths import Paths
from chainrace.explore.options import Options
from chainrace.host import setup
from chainrace.host.kubernetes import pinned
from chainrace.judge.conclusion import Evidence
from chainrace.model.backends import Backend
from chainrace.report.terminal import Terminal
from chainrace.settings import config
from chainrace.settings.config import Bus, ImageConfig, LabConfig
from chainrace.settings.keeping import Keep, Keeping
from chainrace.settings.mistakes import in_words
from chainrace.settings.scenario import Changes

NODE, SCRIPT, EXPLORATION, OUTPUT = "The node", "The script", "The exploration", "Output"


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command, as options of its own, the fields of each dataclass among its parameters."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for one in inspect.signature(command).parameters.values():
        if one.name not in groups:
            parameters.append(one.replace(annotation=hints[one.name]))
            continue
        of_group = get_type_hints(groups[one.name], include_extras=True)
        parameters += [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=of_group[field.name],
            )
            for field in fields(groups[one.name])
        ]

    @wraps(command)
    def called(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{one.name: given.pop(one.name) for one in fields(group)})
        command(**given)

    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    return called


BackendName = Annotated[
    Backend | None, typer.Option("--backend", help="The backend of iptables.", rich_help_panel=NODE)
]


@dataclass(frozen=True)
class NodeOptions:
    """Which image, kubelet and backend, and what is done to the node first."""

    image: Annotated[
        Path | None,
        typer.Option(help="A node image: qcow2, raw, VHD or VHDX.", rich_help_panel=NODE),
    ] = None
    user: Annotated[
        str | None,
        typer.Option(help="The image's user, where it takes no seed.", rich_help_panel=NODE),
    ] = None
    key: Annotated[
        Path | None, typer.Option(help="That user's private key.", rich_help_panel=NODE)
    ] = None
    bus: Annotated[
        Bus | None,
        typer.Option(help="The bus of the image's disk (virtio).", rich_help_panel=NODE),
    ] = None
    kubelet: Annotated[
        str | None,
        typer.Option(help="A kubelet: a pinned version, or a binary.", rich_help_panel=NODE),
    ] = None
    backend: BackendName = None
    prepare: Annotated[
        Path | None,
        typer.Option(
            help="A script that changes the node first (drop-ins, masks). It is undone later.",
            rich_help_panel=NODE,
        ),
    ] = None

    @property
    def named(self) -> bool:
        """Whether the call says anything of the node."""
        return self != NodeOptions()

    @property
    def own_image(self) -> ImageConfig | None:
        """The image that the call names, None where it names none. Raises UsageError."""
        given = {
            "user": self.user,
            "key": self.key and str(self.key.absolute()),
            "bus": self.bus,
        }
        named = {name: value for name, value in given.items() if value is not None}
        if self.image is None:
            if named:
                raise UsageError(
                    "--user, --key and --bus are about an image", "name one: --image FILE"
                )
            return None
        try:
            return ImageConfig.model_validate({"path": str(self.image.absolute()), **named})
        except ValidationError as error:
            raise UsageError(f"--image: {in_words(error)}", "see --help") from error

    @property
    def own_kubelet(self) -> str | None:
        """A version, or a file of the caller's folder by its whole path. Raises UsageError."""
        if not self.kubelet or config.VERSION.fullmatch(self.kubelet):
            return self.kubelet
        file = Path(self.kubelet).absolute()
        if "/" not in self.kubelet and not os.path.exists(file):  # noqa: PTH110 - any name
            raise UsageError(
                f"--kubelet {self.kubelet}: there is no such version, and no such file",
                f"use one of {', '.join(pinned(Paths()))}, or the path of a binary",
            )
        return str(file)

    def applied(self) -> LabConfig:
        """lab.toml, and what the call says instead. Raises UsageError."""
        loaded = config.load(backend=self.backend, image=self.own_image)
        kubelet = self.own_kubelet
        return loaded if kubelet is None else config.with_kubelet(loaded, kubelet)


@dataclass(frozen=True)
class ScriptOptions:
    """A script of the user's own."""

    script: Annotated[
        Path | None, typer.Option(help="A script of your own.", rich_help_panel=SCRIPT)
    ] = None
    exit_code: Annotated[
        int | None,
        typer.Option(
            "--exit",
            min=0,
            max=config.MOST_EXIT,
            help="The exit code that the script should end with [0].",
            rich_help_panel=SCRIPT,
        ),
    ] = None

    @property
    def named(self) -> bool:
        """Whether the call says anything of a script."""
        return self != ScriptOptions()

    @property
    def expect(self) -> int:
        """The exit code that is right. Raises UsageError where no script is named."""
        return expected(self.exit_code, self.script)


def changes(
    node: NodeOptions, script: ScriptOptions, evidence: tuple[Evidence, ...] = ()
) -> Changes:
    """What the call says instead of lab.toml. Raises UsageError."""
    return Changes(
        image=node.own_image,
        backend=node.backend,
        kubelet=node.own_kubelet,
        script=script.script,
        evidence=evidence,
        expect=script.exit_code,
        prepare=node.prepare,
    )


def expected(code: int | None, script: Path | None) -> int:
    """What --exit says. Raises UsageError where no script of the user's own is named."""
    if code is not None and script is None:
        raise UsageError("--exit is about a script of your own", "name it, too: --script FILE")
    return code or 0


SubjectName = Annotated[
    str | None,
    typer.Option(
        "--subject",
        help="Whom the script is raced with: kubelet, or another of ./lab subjects.",
        rich_help_panel=SCRIPT,
    ),
]
AgainstName = Annotated[
    str | None,
    typer.Option(
        "--against",
        help="A subject in the script's place: two programs, and no script.",
        rich_help_panel=SCRIPT,
    ),
]

Boot = Annotated[
    bool,
    typer.Option(
        "--boot", help="The start of iptables.service at boot, no script.", rich_help_panel=SCRIPT
    ),
]


@dataclass(frozen=True)
class ExplorationOptions:
    """How far an exploration goes, and on how many nodes."""

    budget: Annotated[
        str | None,
        typer.Option(
            help="The time for it, such as 10m. Replays come on top.", rich_help_panel=EXPLORATION
        ),
    ] = None
    preemptions: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=config.MOST_TIMES,
            help="Only schedules with at most so many preemptions: a quick look.",
            rich_help_panel=EXPLORATION,
        ),
    ] = None
    first: Annotated[
        bool,
        typer.Option("--first", help="Stop at the first harm.", rich_help_panel=EXPLORATION),
    ] = False
    nodes: Annotated[
        int,
        typer.Option(
            min=1,
            max=len(setup.NODES),
            help="The number of nodes that share it.",
            rich_help_panel=EXPLORATION,
        ),
    ] = 1

    @property
    def seconds(self) -> float | None:
        """The budget in seconds; None without one. Raises UsageError."""
        return seconds(self.budget)

    @property
    def options(self) -> Options:
        """As the exploration has them. Raises UsageError for a budget that is no duration."""
        return Options(self.seconds, self.preemptions, first=self.first)


def seconds(text: str | None) -> float | None:
    """What --budget says, in seconds; None without it. Raises UsageError for no duration."""
    try:
        return None if text is None else config.seconds(text)
    except ValueError as error:
        raise UsageError(f"--budget {error}", "see ./lab run --help") from error


@dataclass(frozen=True)
class KeepOptions:
    """What becomes of the node."""

    keep: Annotated[
        Keep,
        typer.Option(
            help="Leave the node running afterwards: never, failed, always.", rich_help_panel=NODE
        ),
    ] = "never"
    shell: Annotated[
        bool,
        typer.Option(
            "--shell-on-failure",
            help="Open a shell on the node where something failed.",
            rich_help_panel=NODE,
        ),
    ] = False

    @property
    def keeping(self) -> Keeping:
        """Raises UsageError for a shell without a terminal."""
        if self.shell and not sys.stdin.isatty():
            raise UsageError(
                "--shell-on-failure needs a terminal", "give --keep failed, then ./lab ssh"
            )
        return Keeping(self.keep, self.shell)


@dataclass(frozen=True)
class OutputOptions:
    """What a command says while it works. Its answer comes whatever is asked here."""

    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Print the verdict alone.", rich_help_panel=OUTPUT),
    ] = False
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Print each command on host and node, too.",
            rich_help_panel=OUTPUT,
        ),
    ] = False
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the answer as JSON.", rich_help_panel=OUTPUT),
    ] = False

    def terminal(self) -> Terminal:
        """Where the command speaks. Raises UsageError where it is to be quiet and verbose."""
        if self.quiet and self.verbose:
            raise UsageError("-q and -v exclude each other", "give one of them")
        return Terminal(as_json=self.as_json, quiet=self.quiet, verbose=self.verbose)
