"""The kubelet binary: built from its pinned Go module, or the user's own.

It is never executed on the host: what it is, the node is asked (session.py).
"""

import shutil
from pathlib import Path

from chainrace.base.errors import UsageError
from chainrace.base.paths import Paths
from chainrace.host import debian, golang, kubernetes, recipe
from chainrace.host.kubernetes import pinned
from chainrace.settings.config import KubeletConfig

PROGRAM = "kubelet"
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
            f"kubelet: {config.pinned} is not pinned under {kubernetes.folder(paths)}",
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
    if kubernetes.is_module(paths, version):
        return kubernetes.ensure(paths, PROGRAM, version)
    pin = kubernetes.folder(paths) / version
    target = paths.store / f"{PROGRAM}-{version}-{recipe.digest(pin, version)}"
    recipe.build_once(target, lambda partial: _build_from_source(paths, pin, version, partial))
    return target / PROGRAM


def _build_from_source(paths: Paths, pin: Path, version: str, folder: Path) -> None:
    folder.mkdir()
    gopath = folder / "gopath"
    tree = gopath / "src/k8s.io/kubernetes"
    debian.unpack_source(pin / SOURCE, tree)
    golang.build(
        paths,
        tree,
        f"{kubernetes.PACKAGES}/{PROGRAM}",
        folder / PROGRAM,
        log=paths.logs / f"{PROGRAM}-{version}-build.log",
        settings=f"-X k8s.io/kubernetes/vendor/{kubernetes.VERSION_VARIABLE}=v{version}",
        # From before modules: everything stands below vendor/.
        env={"GO111MODULE": "off", "GOPATH": str(gopath), "GOFLAGS": ""},
    )
    shutil.rmtree(gopath)
