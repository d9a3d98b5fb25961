"""Who uses a clone: one command at a time. What a killed one left running is ended first."""

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from chainrace.errors import LabError
from chainrace.paths import Paths

# In the environment of whoever holds a clone, and of all that they call: `vagrant up` may
# call `./lab setup`, which is the same command's work. libvirtd and its nodes go without.
MARK = "CHAINRACE_CLONE"
# An interrupted command first judges what it has, and removes its node.
PATIENCE_SECONDS = 120.0
ORPHAN_SECONDS = 10.0
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
                _send(holder.pid, signal.SIGTERM if gently else signal.SIGKILL)
                ended = holder
            time.sleep(LOOK_SECONDS)
        with _marked_as_ours(paths, file):
            yield ended


@contextmanager
def _opened(paths: Paths) -> Iterator[TextIO]:
    paths.state.mkdir(parents=True, exist_ok=True)
    with (paths.state / "lock").open("a+") as file:
        yield file


@contextmanager
def _marked_as_ours(paths: Paths, file: TextIO) -> Iterator[None]:
    """Say who we are, end what the last holder left, and mark what we shall call."""
    file.truncate(0)
    me = Holder(os.getpid(), _command(), f"{datetime.now(UTC):%H:%M:%S}")
    file.write(json.dumps(asdict(me)))
    file.flush()
    before = os.environ.get(MARK)
    try:
        _end_orphans(paths)
        os.environ[MARK] = paths.prefix
        yield
    finally:
        file.truncate(0)
        if before is None:
            os.environ.pop(MARK, None)
        else:
            os.environ[MARK] = before


def _is_ours(paths: Paths) -> bool:
    return os.environ.get(MARK) == paths.prefix


def _end_orphans(paths: Paths) -> None:
    """End what a holder called and did not live to see the end of. Raises LabError."""
    told: set[int] = set()
    begun = time.monotonic()
    while orphans := _marked(paths.prefix):
        waited = time.monotonic() - begun
        if waited > 2 * ORPHAN_SECONDS:
            raise LabError(
                f"processes {orphans} of an earlier command do not end", "end them by hand"
            )
        for pid in orphans:
            if waited > ORPHAN_SECONDS:
                _send(pid, signal.SIGKILL)
            elif pid not in told:
                _send(pid, signal.SIGTERM)
                told.add(pid)
        time.sleep(LOOK_SECONDS)


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _marked(prefix: str) -> list[int]:
    """The processes that carry this clone's mark, but for this one."""
    wanted = f"{MARK}={prefix}".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        pid = int(environment.parent.name)
        with suppress(OSError):  # gone meanwhile, or another user's
            if pid != os.getpid() and wanted in environment.read_bytes().split(b"\0"):
                found.append(pid)
    return found


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
