"""The kubelet binary: built from its pinned Go module, or the user's own.

It is never executed on the host: what it is, the node is asked (session.py).
"""

import shutil
from pathlib import Path

from chainrace.base.errors import UsageError
from chainrace.base.paths import Paths
from chainrace.host import debian, golang, recipe
from chainrace.settings.config import KubeletConfig

PACKAGE = "k8s.io/kubernetes/cmd/kubelet"
VERSION_VARIABLE = "k8s.io/component-base/version.gitVersion"
# A kubelet older than Go modules is pinned by this file, a newer one by go.mod and go.sum.
SOURCE = "source.sha256"
# Where a program for the node is told by its first bytes. Source: elf(5), ELF-64's header.
MAGIC, HEADER_BYTES = b"\x7fELF", 64
CLASS, CLASS_64 = 4, 2
ORDER, LOW_FIRST = 5, 1
MACHINE, X86_64 = slice(18, 20), 62
# A kubelet has some 100 MB; its copy goes onto a disk for the node.
MOST_BYTES = 2**30


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
    """Raise UsageError for a file that no node runs. It is looked at, and not executed."""
    remedy = "name a kubelet's binary, or a version"
    try:
        if not own.is_file():
            raise UsageError(f"kubelet: {own} is no file", remedy)
        size = own.stat().st_size
        with own.open("rb") as file:
            head = file.read(HEADER_BYTES)
    except OSError as error:
        raise UsageError(f"kubelet: {own}: {error.strerror}", remedy) from error
    if not head.startswith(MAGIC) or len(head) < HEADER_BYTES:
        raise UsageError(f"kubelet: {own} does not run: it is no program", remedy)
    machine = int.from_bytes(head[MACHINE], "little")
    if (head[CLASS], head[ORDER], machine) != (CLASS_64, LOW_FIRST, X86_64):
        raise UsageError(
            f"kubelet: {own} does not run on a node: it is a program for another processor",
            "name one for x86-64 (amd64)",
        )
    if size > MOST_BYTES:
        raise UsageError(f"kubelet: {own} is larger than {MOST_BYTES // 2**30} GiB", remedy)


def ensure(paths: Paths, config: KubeletConfig) -> Path:
    """The kubelet that lab.toml names, built if need be.

    Raises UsageError when lab.toml names what is not there, LabError when the build fails.
    """
    check(paths, config)
    if config.path is not None:
        return paths.root / config.path
    version = config.pinned
    folder = _pins(paths) / version
    target = paths.store / f"kubelet-{version}-{recipe.digest(folder, version)}"
    recipe.build_once(target, lambda partial: _build(paths, folder, version, partial))
    return target / "kubelet"


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
