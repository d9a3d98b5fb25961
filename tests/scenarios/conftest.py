"""A clone of this commit, with what is built already: a quarter of an hour less."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chainrace.base.paths import REPOSITORY, Paths

BUILT = ("image-*", "box-*", "kubelet-*", "azure-npm-*")
SECONDS = 3600


@contextmanager
def cloned(folder: Path, paths: Paths) -> Iterator[Path]:
    """A clone in a folder that is not there yet; afterwards nothing of it is up."""
    subprocess.run(["git", "clone", "--quiet", REPOSITORY, folder], check=True)
    store = folder / ".lab" / "store"
    store.mkdir(parents=True)
    for pattern in BUILT:
        for one in paths.store.glob(pattern):
            subprocess.run(["cp", "-a", "--sparse=always", one, store], check=True)
    yield folder
    subprocess.run([folder / "lab", "down"], cwd=folder, check=True)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, paths: Paths) -> Iterator[Path]:
    with cloned(tmp_path_factory.mktemp("clone") / "lab", paths) as made:
        yield made


def run_as_it_stands(text: str, clone: Path) -> tuple[int, str]:
    """Run a text as a shell would in the clone; its exit code, and all that it said."""
    done = subprocess.run(
        ["sh", "-eu", "-c", text],
        stdin=subprocess.DEVNULL,
        cwd=clone,
        env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def processes(clone: Path) -> dict[int, str]:
    """The processes of a clone's lab, each with its command line."""
    prefix = Paths(clone).prefix
    mark = f"CHAINRACE_CLONE={prefix}".encode()
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            mine = mark in (process / "environ").read_bytes().split(b"\0")
        except OSError:  # gone meanwhile
            continue
        if mine or prefix in words or str(clone) in words:
            found[int(process.name)] = words
    return found


def left_behind(clone: Path) -> list[str]:
    """What is there of a clone's lab: processes, namespace, mounts, boxes, sockets, nodes."""
    prefix = Paths(clone).prefix
    found = [f"process {pid}: {words[:120]}" for pid, words in processes(clone).items()]
    if Path("/run/netns", prefix).exists():
        found.append(f"network namespace {prefix}")
    found += [line for line in Path("/proc/mounts").read_text().splitlines() if str(clone) in line]
    found += [str(one) for one in (clone / ".lab").rglob("*") if one.is_socket()]
    found += [
        str(one)
        for place in ("libvirt/etc/qemu", "libvirt/lib/qemu/snapshot", "store/volumes")
        for one in (clone / ".lab" / place).glob(f"{prefix}-*")
    ]
    home = Path(os.environ.get("VAGRANT_HOME", Path.home() / ".vagrant.d"))
    found += [str(box) for box in (home / "boxes").glob(f"{prefix}-*")]
    return found
