"""Where processes are stopped: the script's at each execve(2), the subject's at libxtables.

A thread answers the kernel at once for all who are not concerned (else the whole machine would
wait for the loop, and the loop for the programs that it runs itself), and keeps the others for
the loop. Source: fanotify(7); fs/exec.c of Linux for the files that one execve(2) opens.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from chainrace.gate.fanotify import OpenGate, Opening
from chainrace.gate.process import PROGRAMS
from chainrace.gate.procevents import Ended, Event, Executed, ProcessEvents
from chainrace.gate.shell import NodeError
from chainrace.gate.whose import NOBODY, SCRIPT, SUBJECT, Owners

# PID 1 executes it by vfork (posix_spawn), and would be held with it. Source: systemd 255's
# exec_spawn(). What it becomes afterwards is held.
EXECUTOR = "systemd-executor"
LOADER = ("ld-linux", "ld-musl", "ld.so", "ld64")


class Waiting(NamedTuple):
    """A process that waits at the door; `path` is the file that it opens or executes."""

    pid: int
    owner: str
    opening: Opening
    path: str


class Door:
    """Holds the subject's and the script's processes. Use as a context manager."""

    def __init__(
        self,
        owners: Owners,
        events: ProcessEvents,
        opened: str,
        executed: list[str],
        everywhere: list[str],
        *,
        by_mount: bool,
    ) -> None:
        """`opened` is the library, `executed` programs of the subject's that do not load it.

        Whatever the script executes from the file systems of `everywhere` is held
        (`by_mount`: of these mounts alone).
        """
        self._owners = owners
        self._events = events
        self._executed = set(executed)
        self._gate = OpenGate(opened, executed, everywhere, by_mount=by_mount)
        self._lock = threading.RLock()
        self._waiting: list[Waiting] = []
        self._heard: list[Event] = []
        # What one execve(2) still opens by itself: the interpreter of a script, the loader.
        self._opens: dict[int, str] = {}
        self._free: Callable[[Waiting], bool] = lambda _: False
        self.outsiders: dict[int, str] = {}  # nobody's firewall programs, as they are called
        self.passed: list[str] = []  # programs of the script's that were not held
        self._let_go: set[int] = set()  # whose execve was seen at the door
        self._failure: Exception | None = None
        self._told, self._tell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._stop, self._stopper = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """Ready when `take` has something."""
        return self._told

    def let_pass(self, free: Callable[[Waiting], bool]) -> None:
        """Do not hold those of the script's for which `free` says so."""
        with self._lock:
            self._free = free

    def take(self) -> tuple[list[Waiting], list[Event]]:
        """Who has come to the door, and what the kernel told of processes, since the last call.

        Raises NodeError where the door itself has failed: nothing is held any more then.
        """
        with suppress(BlockingIOError):
            os.read(self._told, 65536)
        with self._lock:
            if self._failure is not None:
                raise NodeError(f"the gate failed: {self._failure}")
            self._hear()
            waiting, self._waiting = self._waiting, []
            heard, self._heard = self._heard, []
        return waiting, heard

    def allow(self, waiting: Waiting) -> None:
        """Let one go on."""
        with self._lock:
            self._pass(waiting)

    def close(self) -> None:
        os.write(self._stopper, b"x")
        self._thread.join()
        self._gate.close()
        for descriptor in (self._told, self._tell, self._stop, self._stopper):
            os.close(descriptor)

    def __enter__(self) -> Door:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._gate.fileno(), select.POLLIN)
        poll.register(self._stop, select.POLLIN)
        try:
            while True:
                ready = {descriptor for descriptor, _ in poll.poll()}
                if self._stop in ready:
                    return
                for opening in self._gate.openings():
                    with self._lock:
                        self._meet(opening)
        except Exception as error:  # noqa: BLE001 - the loop raises it; nobody stays held
            self._failure = error
            self._gate.release_all()
            self._wake()

    def _wake(self) -> None:
        with suppress(BlockingIOError):
            os.write(self._tell, b"x")

    def _hear(self) -> None:
        for event in self._events.events():
            if isinstance(event, Executed):
                if event.pid in self._owners.script and event.pid not in self._let_go:
                    self.passed.append(_name_of(event.pid))
                self._let_go.discard(event.pid)
                self._opens.pop(event.pid, None)
            elif isinstance(event, Ended):
                self._let_go.discard(event.pid)
                self._opens.pop(event.pid, None)
            self._owners.feed(event)
            self._heard.append(event)

    def _meet(self, opening: Opening) -> None:
        self._hear()
        owner = self._owners.of(opening.pid)
        waiting = Waiting(opening.pid, owner, opening, _path_of(opening))
        if self._concerned(waiting):
            self._waiting.append(waiting)
            self._wake()
        else:
            self._pass(waiting)

    def _concerned(self, one: Waiting) -> bool:
        name = os.path.basename(one.path)
        if one.owner == NOBODY and (not one.opening.in_exec or PROGRAMS.match(name)):
            self.outsiders[one.pid] = _name_of(one.pid)
        if one.owner == SUBJECT:
            return not one.opening.in_exec or one.path in self._executed
        if one.owner != SCRIPT or not one.opening.in_exec:
            return False
        return name != EXECUTOR and not self._goes_on(one) and not self._free(one)

    def _goes_on(self, one: Waiting) -> bool:
        """Whether the file belongs to an execve(2) that has been let go already."""
        expected = self._opens.get(one.pid)
        if expected is None:
            return False
        if expected == "":
            return os.path.basename(one.path).startswith(LOADER)
        return os.path.realpath(expected) == one.path

    def _pass(self, one: Waiting) -> None:
        if one.opening.in_exec and one.owner == SCRIPT:
            self._opens[one.pid] = interpreter_of(one.opening.handle)
            self._let_go.add(one.pid)
        self._gate.allow(one.opening)


def interpreter_of(descriptor: int) -> str:
    """The program that a script's first line names; empty for what is no script."""
    try:
        head = os.pread(descriptor, 256, 0)
    except OSError:
        return ""
    if not head.startswith(b"#!"):
        return ""
    words = head[2:].split(b"\n")[0].split()
    return os.fsdecode(words[0]) if words else ""


def _path_of(opening: Opening) -> str:
    return os.readlink(f"/proc/self/fd/{opening.handle}")


def _name_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")[:-1]
    except OSError:
        return "a program that has ended"
    return " ".join(os.fsdecode(word) for word in words)[:200]
