"""lab.toml, typed: what the lab builds and races."""

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from chainrace.base.errors import UsageError
from chainrace.base.files import read_text_input
from chainrace.base.paths import REPOSITORY
from chainrace.judge.conclusion import CLUSTER, EXPLORATION, TRIALS, Evidence
from chainrace.model.backends import NFT, Backend
from chainrace.settings.mistakes import in_words, line_of
from chainrace.subjects.known import KNOWN

# 1.34.4, v1.34.4
VERSION = re.compile(r"v?([0-9]+\.[0-9]+\.[0-9]+)")
# 90s, 5m, 1h30m
DURATION = re.compile(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")

Bus = Literal["virtio", "sata"]
DEFAULT_KUBELET = "1.34.4"

# Of anything that is counted: more is a slip of the keyboard.
MOST_TIMES = 1_000_000
DAY_SECONDS = 86400
MOST_EXIT = 255
LONGEST_DAYS = 30

# An empty name would be the folder that lab.toml lies in.
Name = Annotated[str, Field(min_length=1)]


# docker.io
Package = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.-]{1,80}$")]


class Section(BaseModel):
    """A part of a file that people write: no key that nobody reads, no value converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NodeConfig(Section):
    """The virtual machine, and what `iptables` means on it. Memory in MiB.

    `packages` are Debian's, which the lab's own image has besides. With `api_server` one of
    Kubernetes stands beside the node, which does not join its cluster.
    """

    backend: Backend | None = None
    cpus: int = Field(default=2, ge=1, le=16)
    memory_mib: int = Field(default=1536, ge=768, le=65536)
    packages: list[Package] = []
    api_server: bool = False


def _plain(version: str) -> str:
    """A version without the v that Kubernetes' own tags begin with."""
    return version.removeprefix("v")


class KubeletConfig(Section):
    """Which kubelet: a version that provision/binaries pins, or a binary by its path."""

    version: Annotated[str, AfterValidator(_plain)] | None = Field(
        default=None, pattern=rf"^{VERSION.pattern}$"
    )
    path: Name | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.version is not None and self.path is not None:
            raise ValueError("a version and a path are two kubelets: name one")
        return self

    @property
    def asked(self) -> bool:
        """Whether anybody named one: an image's own stands back for it then."""
        return self.version is not None or self.path is not None

    @property
    def pinned(self) -> str:
        """The version to build where there is no path."""
        return self.version or DEFAULT_KUBELET

    @property
    def name(self) -> str:
        """Which it is, as a user names it."""
        return self.path or self.pinned


class ImageConfig(Section):
    """A node image of the user's own, and who may log in where it reads no seed.

    `bus`: what its disk hangs on; an initrd made for Azure alone knows no virtio.
    """

    path: Name
    user: str = Field(default="root", pattern=r"^[a-z_][a-z0-9_-]{0,31}$")  # azureuser
    key: Name | None = None
    bus: Bus = "virtio"

    @property
    def options(self) -> tuple[str, ...]:
        """The options by which a command is told the same."""
        given = {"--image": self.path, "--user": self.user, "--key": self.key, "--bus": self.bus}
        default = {"--user": "root", "--key": None, "--bus": "virtio"}
        return tuple(
            word
            for option, value in given.items()
            if value is not None and value != default.get(option)
            for word in (option, value)
        )

    @model_validator(mode="after")
    def _both(self) -> Self:
        if self.user != "root" and self.key is None:
            raise ValueError("a user needs a key: the file of the private key that lets them in")
        return self


def _as_table(value: Any) -> Any:
    """An image by its path alone is that of a table with nothing else."""
    return {"path": value} if isinstance(value, str) else value


Image = Annotated[ImageConfig, BeforeValidator(_as_table)]


class LimitsConfig(Section):
    """Seconds after which the environment counts as broken, and how often it is tried again.

    An outcome never is.
    """

    boot: int = Field(default=300, ge=10, le=DAY_SECONDS)
    trial: int = Field(default=180, ge=10, le=DAY_SECONDS)
    retries: int = Field(default=2, ge=0, le=10)


def seconds(text: str) -> float:
    """Read a duration: `90s`, `5m`, `1h`, `1h30m`. Raises ValueError for anything else."""
    found = DURATION.fullmatch(text)
    if not text or not found:
        raise ValueError(f"{text!r} is no duration: write it like 90s, 5m or 1h30m")
    # As float: of any number of digits.
    hours, minutes, rest = (float(part or 0) for part in found.groups())
    total = 3600 * hours + 60 * minutes + rest
    if total == 0:
        raise ValueError(f"{text!r} is no time at all: write it like 90s, 5m or 1h30m")
    if total > LONGEST_DAYS * DAY_SECONDS:
        raise ValueError(
            f"{text!r} is more than {LONGEST_DAYS} days: write it like 90s, 5m or 1h30m"
        )
    return total


def _duration(text: str) -> str:
    seconds(text)
    return text


def _once(names: list[Evidence]) -> list[Evidence]:
    if not names or len(set(names)) != len(names):
        raise ValueError("name each kind of evidence once, and at least one")
    if CLUSTER in names and len(names) > 1:
        raise ValueError("cluster stands alone: its node is another one")
    return names


Kinds = Annotated[list[Evidence], AfterValidator(_once)]


class ExpectedLine(Section):
    """A known-bad log line that is no fault in a scenario: what is in it, and why."""

    line: str = Field(min_length=4)
    reason: str = Field(min_length=4)


class Scenario(Section):
    """One thing to show. What it does not name is as in the other parts of lab.toml.

    `image` is a file, or a table as [image] is; `kubelet` a version or a file, `script` a file
    that stands in the fix's place, `exit` the code that it is to end with, `prepare` a file that
    changes the node first. Files are relative to lab.toml. Without `by_default` only a call that
    names it runs it.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")  # outage-1.36
    by_default: bool = True
    image: Image | None = None
    backend: Backend | None = None
    kubelet: Name | None = None
    script: Name | None = None
    prepare: Name | None = None
    exit: int = Field(default=0, ge=0, le=MOST_EXIT)
    evidence: Kinds = [EXPLORATION, TRIALS]
    budget: Annotated[str, AfterValidator(_duration)] | None = None
    expected_lines: list[ExpectedLine] = []

    @model_validator(mode="after")
    def _of_a_script(self) -> Self:
        if self.exit and self.script is None:
            raise ValueError("exit is about a script of your own: name it as script, too")
        return self

    @model_validator(mode="after")
    def _of_a_cluster(self) -> Self:
        if CLUSTER in self.evidence and (self.budget or self.prepare):
            raise ValueError("evidence cluster goes without budget and prepare")
        return self


class SubjectConfig(Section):
    """A subject of the user's own: a unit that sets firewall rules and trusts that they stay.

    `unit` is a file (with a / in it, relative to lab.toml), or the name of one that the image has.
    `prepare`, `done` and `check` are commands for the node's shell, `programs` names of its own
    programs; after each failure mode it is watched for `watch` (docs/how-to/test-a-subject.md).
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")  # node-guard
    unit: str = Field(pattern=r"^[\w@./-]{1,200}\.service$")  # units/node-guard.service
    prepare: str = ""
    done: str = ""
    check: str = ""
    packages: list[Package] = []
    programs: list[Annotated[str, Field(pattern=r"^[\w.+-]{1,100}$")]] = []  # dockerd
    watch: Annotated[str, AfterValidator(_duration)] | None = None


def _subjects_apart(found: list[SubjectConfig]) -> list[SubjectConfig]:
    names = [*(one.name for one in KNOWN), *(one.name for one in found)]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two subjects are called {name}")
    return found


def _named_apart(scenarios: list[Scenario]) -> list[Scenario]:
    names = [one.name for one in scenarios]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two scenarios are called {name}")
    if not scenarios:
        raise ValueError("there is no scenario at all")
    return scenarios


OUTAGE = Scenario(name="outage")
IN_CLUSTER = Scenario(name="cluster", by_default=False, evidence=[CLUSTER])


class LabConfig(Section):
    """The whole of lab.toml."""

    node: NodeConfig = NodeConfig()
    image: ImageConfig | None = None
    kubelet: KubeletConfig = KubeletConfig()
    limits: LimitsConfig = LimitsConfig()
    scenario: Annotated[list[Scenario], AfterValidator(_named_apart)] = [OUTAGE, IN_CLUSTER]
    subject: Annotated[list[SubjectConfig], AfterValidator(_subjects_apart)] = []

    @property
    def backend(self) -> Backend | None:
        """What `iptables` is to mean on the node; None: what it means on the user's image."""
        return self.node.backend or (None if self.image else NFT)


def load(
    path: Path = REPOSITORY / "lab.toml",
    *,
    backend: Backend | None = None,
    image: ImageConfig | None = None,
) -> LabConfig:
    """Read lab.toml; without the file, the outage's defaults. The others go before its.

    Raises UsageError with file, line, key and what is allowed for whatever is wrong in it.
    """
    config = _read(path)
    config = config if backend is None else with_backend(config, backend)
    return config if image is None else with_image(config, image)


def with_backend(config: LabConfig, backend: Backend) -> LabConfig:
    """The same with another backend in use."""
    return config.model_copy(update={"node": config.node.model_copy(update={"backend": backend})})


def with_image(config: LabConfig, image: ImageConfig) -> LabConfig:
    """The same on another image."""
    return config.model_copy(update={"image": image})


def with_packages(config: LabConfig, packages: Sequence[str]) -> LabConfig:
    """The same with more Debian packages on the lab's own image. Raises UsageError for another."""
    every = sorted({*config.node.packages, *packages})
    changed = config.model_copy(update={"node": config.node.model_copy(update={"packages": every})})
    if config.image is not None:
        refuse_packages(changed)
    return changed


def refuse_packages(config: LabConfig) -> None:
    """Raise UsageError where packages are asked for that an image of the user's cannot get."""
    if config.node.packages:
        named = ", ".join(config.node.packages)
        raise UsageError(
            f"{named}: packages are installed on the lab's own image alone",
            "install them on your image",
        )


def with_kubelet(config: LabConfig, kubelet: str) -> LabConfig:
    """The same with another kubelet: a version, or a file (relative to the project).

    Raises UsageError for what is no name.
    """
    key = "version" if VERSION.fullmatch(kubelet) else "path"
    try:
        chosen = KubeletConfig.model_validate({key: kubelet})
    except ValidationError as error:
        raise UsageError(
            f"kubelet: {in_words(error)}", "name a version that is pinned, or a binary"
        ) from error
    return config.model_copy(update={"kubelet": chosen})


def _read(path: Path) -> LabConfig:
    # A link that leads nowhere is a mistake, and no wish for the defaults.
    if not os.path.lexists(path):
        return LabConfig()
    text = read_text_input(path, "make it a readable text file")
    try:
        return LabConfig.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise _wrong(path, text, error) from error
    except (ValueError, RecursionError) as error:  # no TOML, a number of 5000 digits, deep arrays
        raise UsageError(f"{path} is not TOML: {error}", "mend that line") from error


def _wrong(path: Path, text: str, error: ValidationError) -> UsageError:
    """What is wrong, where, and what is allowed there."""
    first = error.errors()[0]
    keys = first["loc"]
    line = line_of(text, keys)
    where = f"{path}:{line}" if line else str(path)
    try:
        said = repr(first["input"])
    except (ValueError, RecursionError):  # as above, where no shorter way told
        said = "more than can be shown"
    name = ".".join(str(key) for key in keys)
    return UsageError(f"{where}: {name}: {in_words(error)} (it says {said})", _allowed(keys))


# What stands where in lab.toml, by the names of the keys.
MODELS: dict[tuple[str, ...], type[BaseModel]] = {
    (): LabConfig,
    ("node",): NodeConfig,
    ("image",): ImageConfig,
    ("kubelet",): KubeletConfig,
    ("limits",): LimitsConfig,
    ("scenario",): Scenario,
    ("scenario", "image"): ImageConfig,
    ("subject",): SubjectConfig,
}


def _allowed(keys: tuple[str | int, ...]) -> str:
    """What could stand there instead."""
    names = tuple(key for key in keys if isinstance(key, str))
    model = MODELS.get(names[:-1]) if names else None
    if model is None or names[-1] in model.model_fields:
        return "docs/reference.md says what is allowed"
    return f"the keys there are {', '.join(model.model_fields)}"
