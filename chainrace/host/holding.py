"""Who uses a clone: one command at a time. What a killed one left running is ended first."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.host.shell import FINISHES, MARK, as_root, send

# An interrupted command first judges what it has, and removes its node.
PATIENCE_SECONDS = 120.0
ORPHAN_SECONDS = 10.0
FINISH_SECONDS = 1800.0
LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Holder:
    """The process that holds a clone, what it is, and since when (UTC)."""

    pid: int
    command: str
    since: str

    def __str__(self) -> str:
        return f"{self.command} (process {self.pid}, since {self.since} UTC)"


@contextmanager
def held(paths: Paths) -> Iterator[None]:
    """This clone is this command's alone. Raises LabError that names whoever else has it.

    The lock is the kernel's (flock(2)): it goes with its process, however that ends. Whatever
    the last holder had called and left running is ended.
    """
    if _is_ours(paths):
        yield
        return
    with _opened(paths) as file:
        if not _locked(file):
            raise LabError(
                f"this clone is in use by {_holder(file) or 'another command'}",
                "wait for its end, or work in another clone",
            )
        with _marked_as_ours(paths, file):
            yield


@contextmanager
def taken_over(paths: Paths) -> Iterator[Holder | None]:
    """The same, but whoever holds the clone is ended first, as by Ctrl-C: yields who that was.

    Raises LabError where it does not end.
    """
    if _is_ours(paths):
        yield None
        return
    with _opened(paths) as file:
        ended = None
        begun = time.monotonic()
        while not _locked(file):
            holder, waited = _holder(file), time.monotonic() - begun
            if waited > PATIENCE_SECONDS + ORPHAN_SECONDS:
                raise LabError(f"{holder or 'another command'} does not end", "end it by hand")
            # One that has just come has not written yet who it is.
            if holder and (holder != ended or waited > PATIENCE_SECONDS):
                gently = waited <= PATIENCE_SECONDS
                send([str(holder.pid)], "TERM" if gently else "KILL")
                ended = holder
            time.sleep(LOOK_SECONDS)
        with _marked_as_ours(paths, file):
            yield ended


@contextmanager
def _opened(paths: Paths) -> Iterator[TextIO]:
    with _make_private(paths.state).open("a+") as file:
        yield file


def _make_private(state: Path) -> Path:
    """The lock in the folder of the lab's state, which is made its owner's alone: it has keys.

    QEMU's user comes to its files by the mounts of the lab's own libvirtd (libvirtd.sh). Raises
    LabError where the folder is another user's.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        state.chmod(0o700)
    except PermissionError as error:
        raise LabError(
            f"{state} is another user's: {error.strerror}",
            "run as that user (with sudo, if it was run so before), or remove it with sudo",
        ) from error
    return state / "lock"


@contextmanager
def _marked_as_ours(paths: Paths, file: TextIO) -> Iterator[None]:
    """Say who we are, end what the last holder left, and mark what we shall call."""
    file.truncate(0)
    me = Holder(os.getpid(), _command(), f"{datetime.now(UTC):%H:%M:%S}")
    file.write(json.dumps(asdict(me)))
    file.flush()
    before = os.environ.get(MARK)
    try:
        _await_the_unhurt(paths)
        _end_orphans(paths)
        os.environ[MARK] = paths.prefix
        yield
    finally:
        if before is None:
            os.environ.pop(MARK, None)
        else:
            os.environ[MARK] = before
        _end_orphans(paths)
        file.truncate(0)


def _is_ours(paths: Paths) -> bool:
    return os.environ.get(MARK) == paths.prefix


def _end_orphans(paths: Paths) -> None:
    """End what a holder called and did not live to see the end of. Raises LabError."""
    told: set[str] = set()
    begun = time.monotonic()
    while orphans := _with(MARK, paths.prefix):
        waited = time.monotonic() - begun
        if waited > 2 * ORPHAN_SECONDS:
            raise LabError(
                f"processes {' '.join(orphans)} of an earlier command do not end",
                "end them by hand",
            )
        if waited > ORPHAN_SECONDS:
            send(orphans, "KILL")
        elif new := [pid for pid in orphans if pid not in told]:
            send(new, "TERM")
            told.update(new)
        time.sleep(LOOK_SECONDS)


def _await_the_unhurt(paths: Paths) -> None:
    """Wait for the end of what must not be ended in its middle. Raises LabError."""
    deadline = time.monotonic() + FINISH_SECONDS
    while pids := _with(FINISHES, paths.prefix):
        if time.monotonic() > deadline:
            raise LabError(
                f"apt (processes {' '.join(pids)}) of an earlier command does not end",
                f"see {paths.logs / 'apt.log'}",
            )
        time.sleep(LOOK_SECONDS)


def _with(mark: str, prefix: str) -> list[str]:
    """The processes that carry a mark of this clone, root's too, but for this one."""
    command = ["sh", "-c", 'exec grep -lzxF "$0" /proc/[0-9]*/environ', f"{mark}={prefix}"]
    # Those that have ended meanwhile make it fail.
    found = subprocess.run(as_root(command), capture_output=True, text=True, check=False).stdout
    # a line: /proc/4711/environ
    pids = (line.split("/")[2] for line in found.splitlines())
    return [pid for pid in pids if pid != str(os.getpid())]


def _locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: TextIO) -> Holder | None:
    """Who wrote into the file; None where they are about to."""
    file.seek(0)
    try:
        return Holder(**json.loads(file.read()))
    except ValueError:
        return None


def _command() -> str:
    program = Path(sys.argv[0])
    # python -m pytest
    name = program.parent.name if program.name == "__main__.py" else program.name
    return " ".join(("./lab" if name == "chainrace" else name, *sys.argv[1:]))
