"""Whether a process goes on by itself, or waits until another one has gone on.

Told by the system call that each of its threads sleeps in (proc(5), /proc/pid/task/tid/syscall),
never by how long it has slept, but for one case: a program that polls may wait for anything.
Numbers are those of x86-64 (arch/x86/entry/syscalls/syscall_64.tbl).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable

from chainrace.gate.descriptors import unread, writes
from chainrace.gate.stops import FORKS

READS = frozenset({0, 17, 19})  # read, pread64, readv
WRITES = frozenset({1, 18, 20})  # write, pwrite64, writev
CHILDREN = FORKS | {61, 130, 247}  # and wait4, sigsuspend, waitid
# Each waits for another of the script's, if for any: open of a fifo, fcntl (F_SETLKW), flock.
LOCKS = frozenset({2, 257, 72, 73})
# In these a thread may also wait for a disk (state D of proc(5)): then it goes on by itself. For
# a fifo's other end, and for a lock, it sleeps so that a signal wakes it (state S).
DISK = READS | WRITES | LOCKS
ENDED = ("Z", "X")  # states of a process that is over, heard of or not
SLEEPS = frozenset({35, 230})  # nanosleep, clock_nanosleep
# 43, 288: accept, accept4: a server waits for whoever may come.
POLLS = frozenset({7, 23, 34, 43, 45, 47, 128, 202, 219, 232, 270, 271, 281, 288, 299, 441, 449})
WORDS = {
    READS: "reads",
    CHILDREN: "is about to go on",
    SLEEPS: "sleeps",
    LOCKS | WRITES: "waits to write, or for a lock",
}


class Look:
    """One look at the processes of an actor: why it is not settled; `print` to compare two."""

    def __init__(
        self,
        held: Collection[int],
        stopped: Collection[int],
        by_turns: Collection[str] = (),
    ) -> None:
        """`held` wait at the gate, `stopped` were stopped by the gate itself.

        `by_turns` are names of processes that sleep, look and sleep again, and of which others say
        when they have done: as long as none of its threads runs, such a one goes by what it finds.
        """
        self._held = held
        self._stopped = stopped
        self._by_turns = by_turns
        self.prints: dict[int, str] = {}
        self.polls: list[int] = []  # those that wait for something that only they know

    def missing(self, pids: Iterable[int], children: Callable[[int], Collection[int]]) -> str:
        """What still goes on by itself, in words; empty where nothing does."""
        every = sorted(pids)
        for pid in every:
            if pid in self._held or pid in self._stopped:
                self.prints[pid] = "held"
                continue
            try:
                why = self._of(pid, every, children(pid))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended just now; its event will say so
            if why:
                return why
        return ""

    def _of(self, pid: int, every: list[int], children: Collection[int]) -> str:
        name, state = _status(pid)
        if state in ENDED:
            return ""  # its end has been, or will be heard of
        # 56 0x4111 0x0 0x0 0x0 0x0 0x0 0x7ffe10 0x7f1a02, or: running
        calls = {
            thread: _read(f"/proc/{pid}/task/{thread}/syscall").split()
            for thread in os.listdir(f"/proc/{pid}/task")
        }
        forks = any(told and told[0].isdigit() and int(told[0]) in FORKS for told in calls.values())
        if forks and any(child in self._held for child in children):
            # Its other threads start no other meanwhile, whatever they do: Go's runtime holds a
            # lock over the fork and the execve (syscall.ForkLock, syscall/exec_unix.go of Go).
            # Where another runtime's do, the same steps do not lead to the same state twice.
            self.prints[pid] = "forks"
            return ""
        marks = []
        for thread, told in calls.items():
            if not told or not told[0].isdigit():
                return f"{name} runs"
            if int(told[0]) in DISK and _status(pid, thread)[1] == "D":
                return f"{name} waits for the disk"
            if name in self._by_turns and int(told[0]) in SLEEPS | POLLS:
                marks.append(f"{thread}: by turns")
                continue
            if why := self._in_call(pid, told, every, children):
                return f"{name} {why}"
            marks.append(f"{thread}:{told[0]}:{_switches(pid, thread)}")
        self.prints[pid] = " ".join(marks)
        return ""

    def _in_call(
        self, pid: int, told: list[str], every: list[int], children: Collection[int]
    ) -> str:
        """Why a thread that sleeps in a system call goes on by itself; empty where it does not."""
        number = int(told[0])
        rests: dict[frozenset[int], Callable[[], bool]] = {
            READS: lambda: self._waits_for_a_writer(pid, int(told[1], 16), every),
            CHILDREN: lambda: any(_lives(child) for child in children),
            SLEEPS: lambda: False,
            LOCKS | WRITES: lambda: bool(self._held),
        }
        for numbers, rest in rests.items():
            if number in numbers:
                return "" if rest() else WORDS[numbers]
        if number not in POLLS:
            return f"is in system call {number}"
        self.polls.append(pid)
        return ""

    def _waits_for_a_writer(self, pid: int, descriptor: int, every: list[int]) -> bool:
        """Whether a read is of an empty pipe that another process of the actor may write to."""
        place = f"/proc/{pid}/fd/{descriptor}"
        pipe = os.readlink(place)
        if not pipe.startswith("pipe:") and not stat.S_ISFIFO(os.stat(place).st_mode):
            return False
        writers = any(writes(other, pipe) for other in every if other != pid)
        return writers and _lies_in(f"/proc/{pid}/fd/{descriptor}") == 0


def _lies_in(path: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return 0
    try:
        return unread(descriptor)
    finally:
        os.close(descriptor)


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def _status(pid: int, thread: str = "") -> tuple[str, str]:
    """Name and state of a process, or of a thread of it."""
    # It begins so: 812 (sh) S 1
    text = _read(f"/proc/{pid}/task/{thread}/stat" if thread else f"/proc/{pid}/stat")
    name = text[text.index("(") + 1 : text.rindex(")")]
    return name, text[text.rindex(")") + 2]


def _lives(pid: int) -> bool:
    """Whether a process has not ended: its parent may not have been told yet that it has."""
    try:
        return _status(pid)[1] not in ENDED
    except (FileNotFoundError, ProcessLookupError):
        return False


def _switches(pid: int, thread: str) -> str:
    """How often a thread has gone to sleep: the same number twice is one and the same sleep."""
    for line in _read(f"/proc/{pid}/task/{thread}/status").splitlines():
        # a line: voluntary_ctxt_switches: 12
        if line.startswith("voluntary_ctxt_switches"):
            return line.split()[1]
    return ""
