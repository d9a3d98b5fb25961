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
    if os.environ.get(MARK) == paths.prefix:
        yield
        return
    paths.state.mkdir(parents=True, exist_ok=True)
    before = os.environ.get(MARK)
    with _file(paths).open("a+") as file:
        if not _locked(file):
            raise LabError(
                f"this clone is in use by {_holder(file)}",
                "wait for its end, or work in another clone",
            )
        end_orphans(paths)
        me = Holder(os.getpid(), _command(), f"{datetime.now(UTC):%H:%M:%S}")
        file.truncate(0)
        file.write(json.dumps(asdict(me)))
        file.flush()
        os.environ[MARK] = paths.prefix
        try:
            yield
        finally:
            file.truncate(0)
            if before is None:
                del os.environ[MARK]
            else:
                os.environ[MARK] = before


def end_holder(paths: Paths) -> Holder | None:
    """End whoever holds the clone, as Ctrl-C would, and what it called. Returns who it was."""
    if not _file(paths).exists() or os.environ.get(MARK) == paths.prefix:
        return None
    with _file(paths).open("a+") as file:
        holder = None if _locked(file) else _holder(file)
        if isinstance(holder, Holder):
            for number, patience in ((signal.SIGTERM, PATIENCE_SECONDS), (signal.SIGKILL, 5.0)):
                with suppress(ProcessLookupError):
                    os.kill(holder.pid, number)
                deadline = time.monotonic() + patience
                while not (free := _locked(file)) and time.monotonic() < deadline:
                    time.sleep(0.1)
                if free:
                    break
        end_orphans(paths)
    return holder if isinstance(holder, Holder) else None


def end_orphans(paths: Paths) -> None:
    """End what a holder called and did not live to see the end of."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while orphans := _marked(paths.prefix):
        number = signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL
        for pid in orphans:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        time.sleep(0.2)


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


def _file(paths: Paths) -> Path:
    return paths.state / "lock"


def _locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: TextIO) -> Holder | str:
    """Who wrote into the file; they may be about to."""
    file.seek(0)
    try:
        return Holder(**json.loads(file.read()))
    except ValueError:
        return "another command"


def _command() -> str:
    return " ".join((Path(sys.argv[0]).name.replace("chainrace", "./lab"), *sys.argv[1:]))
