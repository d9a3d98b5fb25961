"""Which files were written, made or removed, and by which process: told by fanotify.

A group of its own without permission events: nobody waits for it. Events name the folder by a
file handle and the entry by its name. Source: fanotify(7), fanotify_init(2) FAN_REPORT_DFID_NAME,
linux/fanotify.h; open_by_handle_at(2).
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import stat
import struct
from collections.abc import Iterable
from contextlib import suppress

from chainrace.gate.answers import LARGE, digest
from chainrace.gate.shell import NodeError

FAN_CLOEXEC, FAN_NONBLOCK = 0x01, 0x02
FAN_UNLIMITED_QUEUE = 0x10
FAN_REPORT_DFID_NAME = 0x0C00
FAN_MARK_ADD, FAN_MARK_FILESYSTEM = 0x01, 0x100
FAN_MODIFY, FAN_CLOSE_WRITE = 0x02, 0x08
FAN_MOVED_FROM, FAN_MOVED_TO, FAN_CREATE, FAN_DELETE = 0x40, 0x80, 0x100, 0x200
FAN_Q_OVERFLOW, FAN_ONDIR = 0x4000, 0x40000000
EVENTS = (
    FAN_MODIFY
    | FAN_CLOSE_WRITE
    | FAN_MOVED_FROM
    | FAN_MOVED_TO
    | FAN_CREATE
    | FAN_DELETE
    | FAN_ONDIR
)
DFID_NAME = {2, 10, 12}  # FAN_EVENT_INFO_TYPE_DFID_NAME, OLD_DFID_NAME, NEW_DFID_NAME
AT_FDCWD = -100
EVENT = struct.Struct("=IBBHQii")
INFO = struct.Struct("=BBH")  # type, padding, length
HANDLE = struct.Struct("=Ii")  # bytes, type
FSID_BYTES = 8

_libc = ctypes.CDLL(None, use_errno=True)


class Written:
    """Files as they are written, from now on. Use as a context manager."""

    def __init__(self, places: Iterable[str]) -> None:
        """Watch whole file systems, named by a place in each. One that refuses is left out."""
        self._fd: int = _libc.fanotify_init(
            FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE | FAN_REPORT_DFID_NAME,
            os.O_RDONLY | os.O_CLOEXEC,
        )
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "fanotify_init")
        self._mounts: dict[bytes, int] = {}
        for place in places:
            marked = _libc.fanotify_mark(
                self._fd,
                FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
                ctypes.c_uint64(EVENTS),
                AT_FDCWD,
                os.fsencode(place),
            )
            if marked == 0:
                descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                self._mounts.setdefault(_fsid(descriptor), descriptor)

    def fileno(self) -> int:
        return self._fd

    def take(self) -> dict[str, set[int]]:
        """The files that were written since the last call, and by whom. Raises NodeError."""
        found: dict[str, set[int]] = {}
        while True:
            try:
                data = os.read(self._fd, 1 << 18)
            except BlockingIOError:
                return found
            at = 0
            while at < len(data):
                length, _, _, header, mask, _, pid = EVENT.unpack_from(data, at)
                if mask & FAN_Q_OVERFLOW:
                    raise NodeError("the kernel lost records of files: nothing can be proved")
                path = self._path(data[at + header : at + length])
                if path:
                    found.setdefault(path, set()).add(pid)
                at += length

    def _path(self, infos: bytes) -> str:
        at = 0
        while at + INFO.size <= len(infos):
            kind, _, length = INFO.unpack_from(infos, at)
            if kind in DFID_NAME:
                start = at + INFO.size
                fsid = infos[start : start + FSID_BYTES]
                start += FSID_BYTES
                size, _ = HANDLE.unpack_from(infos, start)
                handle = infos[start : start + HANDLE.size + size]
                name = infos[start + HANDLE.size + size : at + length].split(b"\0")[0]
                return os.path.join(self._folder(fsid, handle), os.fsdecode(name))
            at += max(length, INFO.size)
        return ""

    def _folder(self, fsid: bytes, handle: bytes) -> str:
        mount = self._mounts.get(fsid)
        if mount is None:
            return "?"
        opened = _libc.open_by_handle_at(
            mount, ctypes.create_string_buffer(handle), os.O_PATH | os.O_CLOEXEC
        )
        if opened < 0:
            return "?"  # the folder is gone
        try:
            return os.readlink(f"/proc/self/fd/{opened}")
        finally:
            os.close(opened)

    def close(self) -> None:
        os.close(self._fd)
        for descriptor in self._mounts.values():
            os.close(descriptor)

    def __enter__(self) -> Written:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Statfs(ctypes.Structure):
    # struct statfs of x86-64, as far as f_fsid
    _fields_ = [
        *((name, ctypes.c_long) for name in ("type", "bsize", "blocks", "bfree", "bavail")),
        *((name, ctypes.c_long) for name in ("files", "ffree")),
        ("fsid", ctypes.c_char * FSID_BYTES),
        ("rest", ctypes.c_long * 8),
    ]


def _fsid(descriptor: int) -> bytes:
    found = _Statfs()
    if _libc.fstatfs(descriptor, ctypes.byref(found)):
        raise OSError(ctypes.get_errno(), "fstatfs")
    offset = _Statfs.fsid.offset
    return bytes(ctypes.string_at(ctypes.addressof(found) + offset, FSID_BYTES))


def digest_files(paths: Iterable[str]) -> dict[str, str]:
    """What each path has now: a digest of its normalised text, `absent`, or `directory`."""
    found = {}
    for path in paths:
        found[path] = "absent"
        with suppress(OSError):
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                found[path] = f"link to {os.readlink(path)}"
            elif stat.S_ISREG(mode):
                found[path] = _of_file(path)
            else:
                found[path] = "directory" if stat.S_ISDIR(mode) else "special"
    return found


def _of_file(path: str) -> str:
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size <= LARGE:
            return digest(file.read())
        summed = hashlib.sha256()
        while data := file.read(1 << 20):
            summed.update(data)
        return summed.hexdigest()[:16]
