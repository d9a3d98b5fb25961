"""Names an iptables process: whose it is, which family, what it is asked to do."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

from chainrace.gate.descriptors import writes
from chainrace.model.actors import KUBELET, OTHER, SCRIPT, SERVICE_START, SERVICE_STOP
from chainrace.model.services import SERVICE_UNITS
from chainrace.model.shells import SHELLS

KUBELET_UNIT = "kubelet.service"
SCRIPT_UNIT = "chainrace-script.service"
EXECVEAT = 322

# The kind of a subject's own program, which goes by the answers that it gets (model/subject.py).
DAEMON = "daemon"
# iptables, ip6tables-save, iptables-legacy-restore, xtables-nft-multi, nft
PROGRAMS = re.compile(r"(ip6?tables|xtables|nft)\b")


@dataclass
class Command:
    """One iptables process of an actor. Times are CLOCK_MONOTONIC seconds."""

    pid: int
    actor: str  # kubelet, script, service stop, service start or other
    program: str  # iptables, ip6tables-save, ...
    arguments: list[str]
    started: float
    ended: float | None = None
    code: int | None = None
    kind: str = ""  # shell: it does nothing but start others; daemon: one of a subject's own
    foreign: bool = False  # it runs in another network namespace than the gate
    input: str = ""  # what its standard input is: file, pipe or nothing
    output: str = ""  # what its standard output and error are, likewise
    exe: str = ""  # the file's own name, links resolved
    path: str = ""  # and where it lies
    source: str = ""  # the file that its standard input is
    target: str = ""  # the file that its standard output is

    @property
    def family(self) -> str:
        """The family by the program's name; nft, which knows both, counts as IPv4's."""
        return "ipv6" if self.program.startswith("ip6") else "ipv4"


def _read(pid: int, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()


def _actor(pid: int) -> str:
    # 0::/system.slice/kubelet.service
    unit = os.fsdecode(_read(pid, "cgroup")).strip().rsplit("/", 1)[-1]
    if unit == KUBELET_UNIT:
        return KUBELET
    if unit == SCRIPT_UNIT:
        return SCRIPT
    if unit in SERVICE_UNITS:
        # systemd sets it for ExecStop= alone (systemd.exec(5)).
        stops = b"SERVICE_RESULT=" in _read(pid, "environ")
        return SERVICE_STOP if stops else SERVICE_START
    return OTHER


def _arguments_of_exec(pid: int) -> list[str]:
    """What a process that waits inside execve(2) is about to become.

    Its memory is still the old program's; the system call's second argument points to
    the new argument vector. Source: proc(5), /proc/pid/syscall and /proc/pid/mem.
    """
    # 59 0x55d0c8 0x55d0d0 0x55d0e8 0x0 0x0 0x0 0x7ffe10 0x7f1a02
    while (told := _read(pid, "syscall").split())[0] == b"running":
        time.sleep(0.001)  # its event is out already, and it is about to wait for the answer
    # execve(2), or execveat(2), which names a folder before.
    vector = int(told[3 if int(told[0]) == EXECVEAT else 2], 16)
    words: list[str] = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        while True:
            memory.seek(vector + 8 * len(words))
            pointer = int.from_bytes(memory.read(8), "little")
            if pointer == 0:
                return words
            memory.seek(pointer)
            words.append(os.fsdecode(memory.read(4096).split(b"\0", 1)[0]))


def describe(pid: int, now: float, *, in_exec: bool = False) -> Command | None:
    """What the process is; None when it is gone or has no arguments (a kernel thread).

    `in_exec`: it waits inside its execve(2), and is named by what it will be.
    """
    try:
        if in_exec:
            words = _arguments_of_exec(pid)
        else:
            words = [os.fsdecode(word) for word in _read(pid, "cmdline").split(b"\0")[:-1]]
        actor = _actor(pid)
        exe = "" if in_exec else os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except (FileNotFoundError, ProcessLookupError):
        return None
    if not words:
        return None
    return Command(pid, actor, os.path.basename(words[0]), words[1:], now, exe=exe)


def held_in_exec(pid: int, now: float, path: str, interpreter: str, actor: str) -> Command | None:
    """A process of the script's that waits in its execve(2) of `path`; None when it is gone.

    `interpreter` is what the file's first line names, empty for a binary; `actor` whose it is.
    """
    try:
        words = _arguments_of_exec(pid)
        foreign = os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
    except (FileNotFoundError, ProcessLookupError):
        return None
    exe = os.path.basename(path)
    # Of a script the kernel hands on all but the first word.
    program = exe if interpreter or not words else os.path.basename(words[0])
    kind = kind_of(path, interpreter) or ("shell" if program in SHELLS else "")
    return Command(
        pid,
        actor,
        program,
        [str(word) for word in words[1:]],
        now,
        kind=kind,
        foreign=foreign,
        exe=exe,
        path=path,
    )


def file_of(pid: int, number: int) -> str:
    """The path of the regular file that a descriptor of a process leads to; else empty."""
    place = f"/proc/{pid}/fd/{number}"
    with suppress(OSError):
        if stat.S_ISREG(os.stat(place).st_mode):
            return os.readlink(place)
    return ""


def kind_of(path: str, interpreter: str) -> str:
    """`shell` for a file that is a shell or is interpreted by one; else nothing."""
    runs = os.path.basename(interpreter or path)
    return "shell" if runs in SHELLS or _by_env(path, interpreter) else ""


def _by_env(path: str, interpreter: str) -> bool:
    """Whether a script's first line asks env(1) for a shell: `#!/usr/bin/env bash`."""
    if os.path.basename(interpreter) != "env":
        return False
    with open(path, "rb") as file:
        words = file.readline(256).split()
    return len(words) > 1 and os.path.basename(os.fsdecode(words[1])) in SHELLS


def waits_for_a_writer(pid: int, others: Iterable[int], full: Collection[str]) -> bool:
    """Whether a process's standard input is a pipe that another may still write to.

    Not where the pipe is `full`: its writer waits for this reader.
    """
    try:
        pipe = os.readlink(f"/proc/{pid}/fd/0")  # pipe:[4711]
    except OSError:
        return False
    return (
        pipe.startswith("pipe:")
        and pipe not in full
        and any(other != pid and writes(other, pipe) for other in others)
    )
