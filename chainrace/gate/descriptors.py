"""What the descriptors of a process lead to: which pipes it reads and writes, what lies in them.

Source: proc(5), pipe(7), tee(2).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import stat
import struct
from collections.abc import Collection

F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032
FIONREAD = 0x541B
SPLICE_F_NONBLOCK = 0x02
# Majors of consoles and terminals (admin-guide/devices.txt of Linux).
TERMINALS = frozenset({4, 5, *range(136, 144)})
_libc = ctypes.CDLL(None, use_errno=True)
_libc.tee.restype = ctypes.c_ssize_t


def link_of(pid: int, number: int | str) -> str:
    """What a descriptor of a process leads to: `pipe:[4711]`, a path; empty where it is closed."""
    try:
        return os.readlink(f"/proc/{pid}/fd/{number}")
    except OSError:
        return ""


def links_of(pid: int) -> set[str]:
    """The pipes that a process has open."""
    try:
        links = {link_of(pid, number) for number in os.listdir(f"/proc/{pid}/fd")}
    except OSError:
        return set()  # it has ended
    return {link for link in links if link.startswith("pipe:")}


def kind_at(pid: int, number: int) -> str:
    """What a descriptor leads to: pipe, file, socket, or nothing that anybody hears or says."""
    try:
        about = os.stat(f"/proc/{pid}/fd/{number}")
    except OSError:
        return ""
    if stat.S_ISREG(about.st_mode):
        return "file"
    if stat.S_ISFIFO(about.st_mode):
        return "pipe"
    if number:
        return "socket" if stat.S_ISSOCK(about.st_mode) else ""
    null = link_of(pid, number) == os.devnull
    terminal = stat.S_ISCHR(about.st_mode) and os.major(about.st_rdev) in TERMINALS
    return "" if null or terminal else "pipe"


def reads(pid: int, links: Collection[str]) -> set[str]:
    """Of which of these pipes a process has a read end open."""
    found: set[str] = set()
    try:
        for number in os.listdir(f"/proc/{pid}/fd") if links else ():
            link = link_of(pid, number)
            if not link or link not in links:
                continue
            if _flags(pid, number) & os.O_ACCMODE != os.O_WRONLY:
                found.add(link)
    except OSError:
        pass  # it has ended
    return found


def writes(pid: int, pipe: str) -> bool:
    """Whether a process has a pipe's write end open: `pipe` is `pipe:[4711]`."""
    try:
        for number in os.listdir(f"/proc/{pid}/fd"):
            if os.readlink(f"/proc/{pid}/fd/{number}") != pipe:
                continue
            if _flags(pid, number) & os.O_ACCMODE:
                return True
    except OSError:
        return False
    return False


def _flags(pid: int, number: str) -> int:
    """How a descriptor was opened. Raises OSError."""
    with open(f"/proc/{pid}/fdinfo/{number}", encoding="ascii") as file:
        # flags:	0100001
        return next(int(line.split()[1], 8) for line in file if line.startswith("flags:"))


def unread(descriptor: int) -> int:
    """How many bytes lie in a pipe."""
    return int(struct.unpack("i", fcntl.ioctl(descriptor, FIONREAD, b"\0" * 4))[0])


def lying_in(descriptor: int) -> bytes:
    """What lies in a pipe, which stays there. Raises OSError."""
    wanted = unread(descriptor)
    if wanted == 0:
        return b""
    source = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.fcntl(writer, F_SETPIPE_SZ, fcntl.fcntl(source, F_GETPIPE_SZ))
        got = _libc.tee(source, writer, ctypes.c_size_t(wanted), SPLICE_F_NONBLOCK)
        if got < wanted:
            raise OSError(ctypes.get_errno(), "tee")
        data = b""
        while len(data) < got:
            data += os.read(reader, got - len(data))
        return data
    finally:
        for one in (source, reader, writer):
            os.close(one)
