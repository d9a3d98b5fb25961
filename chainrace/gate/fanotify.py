"""Stops every process at its open of one file, until it is allowed to go on.

Marked on libxtables, which every iptables program loads just after its exec, this
shows each of them while it still waits: its arguments can be read in /proc however
short it will live, and nothing of it has touched the kernel's rules yet. When this
process dies the kernel releases all that wait. Source: fanotify(7).
"""

import ctypes
import os
import struct
from typing import NamedTuple

FAN_CLASS_CONTENT = 0x04
FAN_CLOEXEC = 0x01
FAN_NONBLOCK = 0x02
FAN_MARK_ADD = 0x01
FAN_OPEN_PERM = 0x10000
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


class OpenGate:
    """Permission events for opens of one file. Use as a context manager."""

    def __init__(self, path: str) -> None:
        """Mark the file. Raises OSError where the kernel lacks permission events."""
        self._fd: int = _libc.fanotify_init(
            FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK, os.O_RDONLY | os.O_CLOEXEC
        )
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "fanotify_init")
        marked = _libc.fanotify_mark(
            self._fd, FAN_MARK_ADD, ctypes.c_uint64(FAN_OPEN_PERM), AT_FDCWD, os.fsencode(path)
        )
        if marked < 0:
            error = ctypes.get_errno()
            os.close(self._fd)
            raise OSError(error, f"fanotify_mark {path}")

    def fileno(self) -> int:
        return self._fd

    def openings(self) -> list[Opening]:
        """Those that wait now; empty when nobody does."""
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return []
        found = []
        offset = 0
        while offset < len(data):
            length, _, _, _, _, handle, pid = EVENT.unpack_from(data, offset)
            found.append(Opening(pid, handle))
            offset += length
        return found

    def allow(self, opening: Opening) -> None:
        """Let the process go on."""
        os.write(self._fd, RESPONSE.pack(opening.handle, FAN_ALLOW))
        os.close(opening.handle)

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> "OpenGate":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
