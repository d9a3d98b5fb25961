"""The kubelet binary: built from its pinned Go module, or the user's own."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from chainrace.config import KubeletConfig
from chainrace.errors import LabError, UsageError
from chainrace.host import debian, golang, recipe
from chainrace.paths import Paths

PACKAGE = "k8s.io/kubernetes/cmd/kubelet"
VERSION_VARIABLE = "k8s.io/component-base/version.gitVersion"
# A kubelet older than Go modules is pinned by this file, a newer one by go.mod and go.sum.
SOURCE = "source.sha256"
ELF = b"\x7fELF"


@dataclass(frozen=True)
class Kubelet:
    """A kubelet binary on the host, and what it says it is (`1.34.4`)."""

    path: Path
    version: str


def check(paths: Paths, config: KubeletConfig) -> None:
    """Raise UsageError for a kubelet that is not there, before anything is brought up for it."""
    if config.path is not None:
        _check_program(paths.root / config.path)
    elif config.pinned not in pinned(paths):
        raise UsageError(
            f"kubelet: {config.pinned} is not pinned under {_pins(paths)}",
            f"use one of: {', '.join(pinned(paths))}",
        )


def _check_program(own: Path) -> None:
    """Raise UsageError for a file that no machine runs: a script would be run as it stands."""
    remedy = "name a kubelet's binary, or a version"
    try:
        if not own.is_file():
            raise UsageError(f"kubelet: {own} is no file", remedy)
        with own.open("rb") as file:
            head = file.read(len(ELF))
    except OSError as error:
        raise UsageError(f"kubelet: {own}: {error.strerror}", remedy) from error
    if head != ELF:
        raise UsageError(f"kubelet: {own} does not run: it is no program", remedy)
    if not os.access(own, os.X_OK):
        raise UsageError(f"kubelet: {own} does not run: it is not executable", f"chmod +x {own}")


def ensure(paths: Paths, config: KubeletConfig) -> Kubelet:
    """The kubelet that lab.toml names, built if need be.

    Raises UsageError when lab.toml names what is not there, LabError when the
    build fails or the binary is not what it was asked to be.
    """
    check(paths, config)
    if config.path is not None:
        own = paths.root / config.path
        return Kubelet(own, _version_of(own))
    version = config.pinned
    folder = _pins(paths) / version
    target = paths.store / f"kubelet-{version}-{recipe.digest(folder, version)}"
    recipe.build_once(target, lambda partial: _build(paths, folder, version, partial))
    built = Kubelet(target / "kubelet", _version_of(target / "kubelet"))
    if built.version != version:
        raise LabError(
            f"{built.path} says it is {built.version}, not {version}",
            f"remove {target} and run again",
        )
    return built


def pinned(paths: Paths) -> list[str]:
    """The versions that provision/binaries pins, oldest first."""
    names = (folder.name for folder in _pins(paths).iterdir() if folder.is_dir())
    return sorted(names, key=lambda name: [int(part) for part in name.split(".")])


def _pins(paths: Paths) -> Path:
    return paths.provision / "binaries" / "kubelet"


def _build(paths: Paths, pin: Path, version: str, folder: Path) -> None:
    folder.mkdir()
    output, log = folder / "kubelet", paths.logs / f"kubelet-{version}-build.log"
    if (pin / SOURCE).exists():
        gopath = folder / "gopath"
        tree = gopath / "src/k8s.io/kubernetes"
        debian.unpack_source(pin / SOURCE, tree)
        golang.build(
            paths,
            tree,
            PACKAGE,
            output,
            log=log,
            settings=f"-X k8s.io/kubernetes/vendor/{VERSION_VARIABLE}=v{version}",
            # From before modules: everything stands below vendor/.
            env={"GO111MODULE": "off", "GOPATH": str(gopath), "GOFLAGS": ""},
        )
        shutil.rmtree(gopath)
    else:
        settings = f"-X {VERSION_VARIABLE}=v{version}"
        golang.build(paths, pin, PACKAGE, output, log=log, settings=settings)


def _version_of(path: Path) -> str:
    remedy = f"is {path} a kubelet for this machine's processor?"
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=60, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{path} does not run: {error}", remedy) from error
    found = re.fullmatch(r"Kubernetes v(\S+)\s*", said)  # Kubernetes v1.34.4
    if not found:
        first = said.splitlines()[0] if said else ""
        raise LabError(f"{path} does not say it is a kubelet: {first!r}", remedy)
    return found[1]
