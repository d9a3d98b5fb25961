"""lab.toml, typed: what the lab builds and races."""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chainrace.errors import UsageError
from chainrace.gate.backends import Backend
from chainrace.paths import REPOSITORY


class Section(BaseModel):
    """A part of a file that people write: no key that nobody reads, no value converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NodeConfig(Section):
    """The virtual machine, and what `iptables` means on it. Memory in MiB."""

    backend: Backend = "nft"
    cpus: int = Field(default=2, ge=1, le=16)
    memory_mib: int = Field(default=1536, ge=768, le=65536)


class KubeletConfig(Section):
    """Which kubelet: a version that provision/binaries pins, or a binary by its path."""

    version: str = Field(default="1.34.4", pattern=r"^\d+\.\d+\.\d+$")  # 1.34.4
    path: str | None = None


class LimitsConfig(Section):
    """Seconds after which the environment counts as broken. Never an outcome."""

    boot: int = Field(default=300, ge=10)
    trial: int = Field(default=180, ge=10)


class LabConfig(Section):
    """The whole of lab.toml."""

    node: NodeConfig = NodeConfig()
    kubelet: KubeletConfig = KubeletConfig()
    limits: LimitsConfig = LimitsConfig()


def load(path: Path = REPOSITORY / "lab.toml", *, backend: Backend | None = None) -> LabConfig:
    """Read lab.toml; without the file, the outage's defaults. `backend` goes before its.

    Raises UsageError with the file and the key for whatever is not allowed in it.
    """
    config = _read(path)
    if backend is None:
        return config
    return config.model_copy(update={"node": config.node.model_copy(update={"backend": backend})})


def _read(path: Path) -> LabConfig:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return LabConfig()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}", "make it a readable text file"
        ) from error
    try:
        return LabConfig.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}", "mend that line") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"{path}: {key}: {first['msg']} (it says {first['input']!r})",
            "see the comments in the project's own lab.toml for what is allowed",
        ) from error
