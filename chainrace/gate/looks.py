"""What a shell looks at by itself, without any process: read from the kernel's own record.

`[ -e /var/lib/kubelet/pki ]`, `kill -0 PID`, `read line < /proc/net/tcp`, /dev/tcp, a pattern of
file names: no program is executed for them, and so the gate holds nothing. The kernel records the
system calls (audit: SYSCALL, CWD, PATH, SOCKADDR; kernel/auditsc.c of Linux). Only places that
kubelet's work or the rules may change are of interest.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from chainrace.gate.audit import AUDIT_CWD, AUDIT_PATH, AUDIT_SOCKADDR, AUDIT_SYSCALL, untrusted

KINDS = (AUDIT_SYSCALL, AUDIT_CWD, AUDIT_PATH, AUDIT_SOCKADDR)
# System calls of x86-64 (arch/x86/entry/syscalls/syscall_64.tbl of Linux).
OPEN, CONNECT, KILL, OPENAT, OPENAT2 = 2, 42, 62, 257, 437
ASKS = (4, 6, 21, 80, 89, 262, 267, 269, 332, 439)  # stat, lstat, access, chdir, readlink, ...at
CALLS = (OPEN, CONNECT, KILL, OPENAT, OPENAT2, *ASKS)
AT_CALLS = (OPENAT, OPENAT2, 262, 267, 269, 332, 439)
AT_FDCWD = 0xFFFFFF9C
O_ACCMODE, O_WRONLY = 0x3, 0x1

# arch=c000003e syscall=262 success=no exit=-2 a0=ffffff9c a1=5d a2=80000 a3=0 items=1 ppid=7 pid=9
CALL = re.compile(
    r"\bsyscall=(?P<call>\d+)(?: success=\w+)? exit=(?P<exit>-?\d+)"
    r" a0=(?P<a0>\w+) a1=(?P<a1>\w+) a2=(?P<a2>\w+) a3=\w+ items=\d+ ppid=\d+ pid=(?P<pid>\d+)"
)
# audit(1795735461.593:858828): cwd="/var/lib"
STAMP = re.compile(r"^audit\((?P<stamp>[\d.]+:\d+)\): ")
CWD = re.compile(r"cwd=(?P<name>\"[^\"]*\"|\w+)")
# item=0 name="kubelet" nametype=UNKNOWN; in hexadecimal digits where it has odd characters
PATH = re.compile(r"\bname=(?P<name>\"[^\"]*\"|\w+) .*\bnametype=(?P<type>\w+)")
# saddr=020028087F0000010000000000000000: family and port, then the address
SADDR = re.compile(r"\bsaddr=(?P<family>0200|0A00)(?P<port>[0-9A-F]{4})")

# Where kubelet's work shows, or the rules do.
PLACES = ("/proc", "/run", "/sys/fs/cgroup", "/sys/kernel", "/sys/module", "/var/log")
OF_KUBELET = (
    "/var/lib/kubelet",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/etc/kubernetes",
    "/etc/cni",
)
# What in them is the same whatever kubelet and the rules do, or the shell's own.
OWN = ("/proc/self", "/proc/thread-self", "/run/chainrace")
OF_MACHINE = (
    "/proc/sys/net",
    "/proc/cmdline",
    "/proc/cpuinfo",
    "/proc/version",
    "/proc/filesystems",
)
OF_BOOT = ("/proc/net/if_inet6", "/run/systemd/system")
# /proc/812/stat
OF_PROCESS = re.compile(r"^/proc/(?P<pid>\d+)(?P<rest>/.*|)$")

EXISTS, READS, CONNECTS, SIGNALS = "exists", "reads", "connects", "signals"


@dataclass(frozen=True)
class Look:
    """One look: `how`, at what (a path, a port, a process), and what the kernel answered.

    `answer` is 0, or the error's number below 0.
    """

    pid: int
    how: str
    at: str
    answer: int


@dataclass
class _Event:
    """The records of one system call."""

    call: str = ""
    cwd: str = "/"
    names: list[str] = field(default_factory=list)
    port: int | None = None


def looks_of(records: Iterable[tuple[int, str]]) -> list[Look]:
    """The looks that records of system calls tell, at any place; writing is none."""
    events: dict[str, _Event] = {}
    for kind, text in records:
        stamp = STAMP.match(text)
        if kind not in KINDS or stamp is None:
            continue
        event = events.setdefault(stamp["stamp"], _Event())
        if kind == AUDIT_SYSCALL:
            event.call = text
        elif kind == AUDIT_CWD and (found := CWD.search(text)):
            event.cwd = os.fsdecode(untrusted(found["name"]))
        elif kind == AUDIT_SOCKADDR and (found := SADDR.search(text)):
            event.port = int(found["port"], 16)
        elif kind == AUDIT_PATH and (found := PATH.search(text)) and found["type"] != "PARENT":
            event.names.append(os.fsdecode(untrusted(found["name"])))
    return [look for event in events.values() if (look := _look(event)) is not None]


def _look(event: _Event) -> Look | None:
    found = CALL.search(event.call)
    if found is None:
        return None  # another kind of call, which some rule of the node's own records
    call, pid, answer = int(found["call"]), int(found["pid"]), min(0, int(found["exit"]))
    a0, a1, a2 = (int(found[name], 16) for name in ("a0", "a1", "a2"))
    if call == KILL:
        # Signal 0 only asks. The process is a number of 32 bits.
        return Look(pid, SIGNALS, str(a0 & 0xFFFFFFFF), answer) if a1 == 0 else None
    if call == CONNECT:
        return None if event.port is None else Look(pid, CONNECTS, f"port {event.port}", answer)
    if call not in CALLS or not event.names:
        return None
    flags = {OPEN: a1, OPENAT: a2}.get(call, 0)
    if flags & O_ACCMODE == O_WRONLY:
        return None
    name = event.names[-1]
    if call in AT_CALLS and not name.startswith("/") and a0 & 0xFFFFFFFF != AT_FDCWD:
        with suppress(OSError):
            event.cwd = os.readlink(f"/proc/{pid}/fd/{a0}")
    opened = call in (OPEN, OPENAT, OPENAT2) and answer == 0
    return Look(pid, READS if opened else EXISTS, posixpath.join(event.cwd, name), answer)


def place_of(path: str, own: Iterable[int]) -> str:
    """Where a path leads, if kubelet or the rules may have changed what is there; else empty.

    `own` are the script's processes. Of another process the number is left out: `/proc/N/stat`.
    """
    path = posixpath.normpath(path)
    if not path.startswith(("/proc/", "/dev/")):
        # A link is followed as the shell did, but for /proc/self, which is ours here.
        path = os.path.realpath(path)
    if not _below(path, PLACES + OF_KUBELET) or _below(path, OWN + OF_MACHINE + OF_BOOT):
        return ""
    process = OF_PROCESS.match(path)
    if process is None:
        return path
    return "" if int(process["pid"]) in own else f"/proc/N{process['rest']}"


def _below(path: str, places: Iterable[str]) -> bool:
    return any(path == place or path.startswith(place + "/") for place in places)
