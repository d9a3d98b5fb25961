"""A process stopped from outside: how, when it has its effect, and whether that would be seen.

Source: signal(7); do_signal_stop() and complete_signal() in kernel/signal.c of Linux; proc(5).
"""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress

# clone, fork, vfork, clone3 of x86-64: who sleeps there in state D waits for a child's execve(2).
FORKS = frozenset({56, 57, 58, 435})
# They stop themselves where their child is stopped, and nobody lets them go on.
# Source: su-common.c of util-linux; exec_nopty.c of sudo.
WATCHERS = frozenset({"su", "runuser", "sudo"})

_libc = ctypes.CDLL(None)


def send(pid: int, handle: int) -> None:
    """Have a process stop; `handle` is its pidfd. Raises ProcessLookupError where it has ended."""
    signal.pidfd_send_signal(handle, signal.SIGSTOP)
    with suppress(FileNotFoundError):  # it has ended since, or a thread of it
        if not _forks(f"/proc/{pid}/task/{pid}"):
            return
        # The kernel gives the signal to the first thread, which takes it only when its wait for a
        # child is over: the others hear of it from one of them that takes it now.
        for thread in os.listdir(f"/proc/{pid}/task"):
            if not _forks(f"/proc/{pid}/task/{thread}"):
                _libc.tgkill(pid, int(thread), signal.SIGSTOP)
                return


def _stat(path: str) -> tuple[str, list[str]]:
    """A process's or thread's own name, and what follows it: state, parent, group, ..."""
    with open(f"{path}/stat", encoding="utf-8", errors="replace") as file:
        # 812 (sh) S 1 812 812 ...
        name, _, rest = file.read().partition(" (")[2].rpartition(") ")
    return name, rest.split()


def have_effect(pid: int) -> bool:
    """Whether no thread of a process can come to read anything before it gets a SIGCONT.

    One that waits for a child that is held (vfork(2)) stops as soon as that wait is over.
    """
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            path = f"/proc/{pid}/task/{thread}"
            if not _forks(path) and _stat(path)[1][0] not in "TtZX":
                return False
    except OSError:
        pass  # it has ended
    return True


def is_seen(pid: int) -> bool:
    """Whether a script can tell: by a trap, or as it is stopped by others, too.

    Or its parent acts on it: su, sudo, a shell with job control (`set -m`), which gives each of
    its jobs a process group of its own, in its own session.
    """
    try:
        _, (state, parent, *group) = _stat(f"/proc/{pid}")
        name, (_, _, *above) = _stat(f"/proc/{parent}")
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            # SigCgt:	0000000000010002
            caught = [int(line.split()[1], 16) for line in file if line.startswith("SigCgt:")]
    except OSError:
        return False
    trapped = bool(caught[0] >> signal.SIGCONT - 1 & 1)
    job = group[0] != above[0] and group[1] == above[1]
    return state == "T" or trapped or job or name in WATCHERS


def _forks(thread: str) -> bool:
    """Whether a thread, by its folder in /proc, waits for a child's execve(2)."""
    if _stat(thread)[1][0] != "D":
        return False
    with open(f"{thread}/syscall", encoding="ascii") as file:
        # 58 0x7ffe10 ...
        number = file.read().split()[0]
    return number.isdigit() and int(number) in FORKS
