"""What a process writes for its caller, heard before the caller reads it.

A pipe's readers are stopped while its writer runs. When all has come to rest, what lies in the
pipe is duplicated without being taken out (tee(2)), and the readers go on. So a script's shell,
and whatever else it pipes into, sees exactly what it would have seen. Source: pipe(7), tee(2),
fcntl(2) F_SETPIPE_SZ; pipe_read() and pipe_poll() in fs/pipe.c of Linux; proc(5).
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

from chainrace.gate import stops
from chainrace.gate.descriptors import (
    F_GETPIPE_SZ,
    F_SETPIPE_SZ,
    kind_at,
    link_of,
    links_of,
    lying_in,
    reads,
    unread,
    writes,
)
from chainrace.gate.written import content, digest

ROOM = 1 << 20
UNKNOWN = "unknown"
STOP_SECONDS = 2.0
LOOK_SECONDS = 0.0001


class Pipes:
    """Which captures are under way, and which readers are stopped for them."""

    def __init__(self) -> None:
        self.captures: list[Capture] = []
        # Handles of the processes, not of who gets their numbers next (pidfd_open(2)).
        self._stopped: dict[int, int] = {}

    def stop(self, pid: int) -> bool:
        """Stop a process, and wait until it is. False where that is impossible, or seen."""
        if pid in self._stopped:
            return True
        if stops.is_seen(pid):
            return False
        try:
            handle = self._stopped[pid] = os.pidfd_open(pid)
            stops.send(pid, handle)
        except ProcessLookupError:
            return True  # it has ended: it reads nothing
        # A reader that has not woken up for its signal yet would still take what comes.
        deadline = time.monotonic() + STOP_SECONDS
        while not stops.have_effect(pid):
            if time.monotonic() > deadline:
                self.go_on(pid)
                return False
            time.sleep(LOOK_SECONDS)
        return True

    def go_on(self, pid: int) -> None:
        """Let a process go on, unless it is stopped for another capture, too."""
        if pid in self._stopped and not any(pid in one.readers for one in self.captures):
            handle = self._stopped.pop(pid)
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGCONT)
            os.close(handle)

    def stopped(self) -> set[int]:
        """All that are stopped now."""
        return set(self._stopped)

    def resume(self) -> None:
        """Before a step of whatever: listen to all that has not ended yet."""
        for capture in list(self.captures):
            capture.resume()

    def rest(self) -> bool:
        """All has come to rest: take in what was written. Whether readers now go on.

        A writer that waits for what one of them says is listened to until it rests again.
        """
        before = len(self._stopped)
        for capture in list(self.captures):
            capture.hear()
        several = len(self.captures) > 1
        moved = self.captures[0].fed_by(self._stopped) if several else set()
        resting = [one for one in self.captures if one.pid not in moved]
        for capture in resting or list(self.captures):
            capture.let_read()
        return len(self._stopped) < before

    def close(self) -> None:
        """Let all go on, and forget all captures."""
        for capture in list(self.captures):
            capture.close()


@dataclass
class _End:
    number: int  # 1 or 2
    link: str
    descriptor: int
    piped: bool
    known: int = 0  # bytes in the pipe that were there before
    heard: bytes = b""

    def take(self) -> None:
        """Take in what is new in the pipe, which stays there. Raises OSError."""
        lies = lying_in(self.descriptor)
        if len(lies) < self.known:
            raise OSError("somebody has read it")
        self.heard += lies[self.known :]
        self.known = len(lies)


class Capture:
    """The output of a process that is held in its execve(2).

    `begin` when it is let go; `hear` when nothing goes on by itself any more, and `let_read`, for
    its readers may go on before it has ended; `resume` before the next step, whoever's that is.
    `finish` after the rest that follows its end: before, what its parent writes next may be in the
    pipe, or not.
    """

    def __init__(
        self,
        pid: int,
        mine: Callable[[], Iterable[int]],
        held: Callable[[int], bool],
        pipes: Pipes,
        silent: Collection[str],
    ) -> None:
        """`mine` are the script's processes; `silent` are what leads out of it (the journal).

        `held` says of whom it is known that it waits in an execve(2), and reads nothing.
        """
        self.pid = pid
        self._mine, self._held = mine, held
        self._pipes = pipes
        self._silent = silent
        self.readers: list[int] = []  # those that are stopped for it
        self._listening = False
        self._ends: list[_End] = []
        self._unknown = False

    @property
    def links(self) -> set[str]:
        """The pipes that it writes to: pipe:[4711]."""
        return {end.link for end in self._ends if end.piped}

    @property
    def input(self) -> str:
        """What the process's standard input is now: file, pipe or nothing."""
        return self._kind(0)

    @property
    def output(self) -> str:
        """What its standard output and error are now, likewise."""
        kinds = {self._kind(1), self._kind(2)}
        return "pipe" if kinds & {"pipe", "socket"} else "file" if "file" in kinds else ""

    def _kind(self, number: int) -> str:
        return "" if link_of(self.pid, number) in self._silent else kind_at(self.pid, number)

    def begin(self) -> None:
        """Stop the readers: the process is about to be let go. Again before each execve(2)."""
        # It may itself read from a pipe that is listened to.
        for other in list(self._pipes.captures):
            if other is not self and reads(self.pid, other.links):
                other.give_up()
        for number in (1, 2):
            link = link_of(self.pid, number)
            if all(link != end.link for end in self._ends):
                self._open(number, link, self._kind(number))
        if self not in self._pipes.captures:
            self._pipes.captures.append(self)
        self.resume()

    def resume(self) -> None:
        """Stop the readers again: somebody is about to go on."""
        self._listening = self._stop_readers()
        if not self._listening:
            self.give_up()
        for end in self._ends:
            if end.piped:
                end.known = unread(end.descriptor)

    def _open(self, number: int, link: str, kind: str) -> None:
        if kind not in ("pipe", "file"):
            self._unknown |= kind == "socket"
            return
        # Only the write end: an own read end would keep the process from being told, by
        # SIGPIPE, that all readers are gone.
        way = os.O_RDONLY if kind == "file" else os.O_WRONLY
        path = f"/proc/{self.pid}/fd/{number}"
        try:
            descriptor = os.open(path, way | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self._unknown = True
            return
        self._ends.append(_End(number, link, descriptor, kind == "pipe"))
        if kind == "pipe" and fcntl.fcntl(descriptor, F_GETPIPE_SZ) < ROOM:
            with suppress(OSError):
                fcntl.fcntl(descriptor, F_SETPIPE_SZ, ROOM)

    def _stop_readers(self) -> bool:
        """Whether all that could take something out of the pipes are stopped, or held."""
        if not self.links or self._unknown:
            return not self._unknown
        source, links = link_of(self.pid, 0), self.links
        read: set[str] = set()
        for other in list(self._mine()):
            taken = reads(other, links) if other != self.pid else set()
            read |= taken
            if not taken or other in self.readers or self._held(other):
                continue
            # One that also writes what the process reads is waited for: a coprocess.
            if (source.startswith("pipe:") and writes(other, source)) or not self._pipes.stop(
                other
            ):
                return False
            self.readers.append(other)
        # What nobody of the script's reads is no answer.
        for end in [one for one in self._ends if one.link in links - read and not one.heard]:
            self._ends.remove(end)
            os.close(end.descriptor)
        return True

    def full(self) -> bool:
        """Whether the process may wait for a reader that is stopped, or held."""
        poll = select.poll()
        pipes = [end for end in self._ends if end.piped]
        for end in pipes:
            poll.register(end.descriptor, select.POLLOUT)
        return len(poll.poll(0)) < len(pipes) if pipes else False

    def give_up(self) -> None:
        """Let the readers read: what they read is not known."""
        self._unknown = True
        self.close()

    def hear(self) -> None:
        """Take in what was written since `begin` or `resume`."""
        try:
            for end in self._ends if self._listening else ():
                if end.piped:
                    end.take()
        except OSError:
            self._unknown = True

    def ended(self) -> None:
        """The process has ended; what it wrote while nobody listened is not known."""
        if self.links and not self._listening:
            self.give_up()

    def fed_by(self, pids: Iterable[int]) -> set[int]:
        """These processes, and whoever reads what one of them writes."""
        found, others = set(pids), set(self._mine()) - set(pids)
        new = found
        while new:
            pipes = {link for pid in new for link in links_of(pid)}
            new = {pid for pid in others if reads(pid, pipes)}
            found |= new
            others -= new
        return found

    def let_read(self) -> None:
        """Let the readers go on."""
        self._listening = False
        readers, self.readers = self.readers, []
        for reader in readers:
            self._pipes.go_on(reader)

    def finish(self) -> str:
        """A digest of what was written; empty for nothing, `unknown` where it was not heard."""
        try:
            self.hear()
            said = [
                f"{end.number}:{digest(end.heard) if end.piped else content(end.descriptor)}"
                for end in self._ends
            ]
        except OSError:
            self._unknown = True
        finally:
            self.close()
        if self._unknown:
            return UNKNOWN
        return digest(" ".join(said).encode()) if said else ""

    def close(self) -> None:
        """Let the readers go on, and forget it."""
        for end in self._ends:
            os.close(end.descriptor)
        self._ends = []
        self.let_read()
        if self in self._pipes.captures:
            self._pipes.captures.remove(self)
