"""Stops every process at its open of some files, until it is allowed to go on.

Marked on libxtables, which every iptables program loads just after its exec, this
shows each of them while it still waits: its arguments can be read in /proc however
short it will live, and nothing of it has touched the kernel's rules yet. Programs that
load no such library are stopped at their exec. When this process dies the kernel
releases all that wait. Source: fanotify(7).
"""

import ctypes
import os
import struct
from collections.abc import Sequence
from typing import NamedTuple

FAN_CLASS_CONTENT = 0x04
FAN_CLOEXEC = 0x01
FAN_NONBLOCK = 0x02
FAN_MARK_ADD = 0x01
FAN_MARK_MOUNT = 0x10
FAN_MARK_FILESYSTEM = 0x100
FAN_OPEN_PERM = 0x10000
FAN_OPEN_EXEC_PERM = 0x40000
FAN_ALLOW = 0x01
AT_FDCWD = -100

# struct fanotify_event_metadata: event_len, vers, reserved, metadata_len, mask, fd, pid
EVENT = struct.Struct("=IBBHQii")
RESPONSE = struct.Struct("=iI")

_libc = ctypes.CDLL(None, use_errno=True)


class Opening(NamedTuple):
    """A process that waits in its open(2); `handle` is what `allow` takes."""

    pid: int
    handle: int
    in_exec: bool  # it waits in execve(2) for its own program


class OpenGate:
    """Permission events for opens of one file and execs of others. A context manager."""

    def __init__(
        self,
        opened: str,
        executed: "list[str]",
        everywhere: "Sequence[str]" = (),
        *,
        by_mount: bool = False,
    ) -> None:
        """Mark the files, and `everywhere` whole file systems (or mounts) for what is executed.

        Raises OSError where the kernel lacks permission events.
        """
        self._fd: int = _libc.fanotify_init(
            FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK, os.O_RDONLY | os.O_CLOEXEC
        )
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "fanotify_init")
        try:
            self._mark(opened, FAN_OPEN_PERM)
            for path in executed:
                self._mark(path, FAN_OPEN_EXEC_PERM)
            for path in everywhere:
                kind = FAN_MARK_MOUNT if by_mount else FAN_MARK_FILESYSTEM
                self._mark(path, FAN_OPEN_EXEC_PERM, kind)
        except OSError:
            os.close(self._fd)
            raise

    def _mark(self, path: str, events: int, kind: int = 0) -> None:
        marked = _libc.fanotify_mark(
            self._fd, FAN_MARK_ADD | kind, ctypes.c_uint64(events), AT_FDCWD, os.fsencode(path)
        )
        if marked < 0:
            raise OSError(ctypes.get_errno(), f"fanotify_mark {path}")

    def fileno(self) -> int:
        return self._fd

    def openings(self) -> "list[Opening]":
        """Those that wait now; empty when nobody does."""
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return []
        found = []
        offset = 0
        while offset < len(data):
            length, _, _, _, mask, handle, pid = EVENT.unpack_from(data, offset)
            found.append(Opening(pid, handle, bool(mask & FAN_OPEN_EXEC_PERM)))
            offset += length
        return found

    def allow(self, opening: Opening) -> None:
        """Let the process go on."""
        os.write(self._fd, RESPONSE.pack(opening.handle, FAN_ALLOW))
        os.close(opening.handle)

    def release_all(self) -> None:
        """Let all go that wait, for good: the kernel does so when the group is closed."""
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        os.dup2(null, self._fd, inheritable=False)
        os.close(null)

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> "OpenGate":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
