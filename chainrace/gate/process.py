"""Names an iptables process: whose it is, which family, what it is asked to do."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass

KUBELET_UNIT = "kubelet.service"
SCRIPT_UNIT = "chainrace-script.service"
# The units that load or drop firewall rules, on Azure Linux and elsewhere.
SERVICE_UNITS = (
    "iptables.service",
    "ip6tables.service",
    "nftables.service",
    "netfilter-persistent.service",
    "firewalld.service",
)
KUBELET, SCRIPT, OTHER = "kubelet", "script", "other"
SERVICE_STOP, SERVICE_START = "service stop", "service start"
# The actors whose order is chosen, by letter: kubelet's work on a family, and all else.
KUBELETS = {"k": "ipv4", "x": "ipv6"}
SCRIPT_ACTOR = "s"

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
    vector = int(told[2], 16)
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
    except (FileNotFoundError, ProcessLookupError):
        return None
    if not words:
        return None
    return Command(pid, actor, os.path.basename(words[0]), words[1:], now)


def waits_for_a_writer(pid: int) -> bool:
    """Whether a process's standard input is a pipe that another's standard output leads to."""
    try:
        pipe = os.readlink(f"/proc/{pid}/fd/0")  # pipe:[4711]
    except OSError:
        return False
    if not pipe.startswith("pipe:"):
        return False
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != pid and _writes_into(entry, pipe):
            return True
    return False


def _writes_into(process: str, pipe: str) -> bool:
    try:
        return os.readlink(f"/proc/{process}/fd/1") == pipe
    except OSError:
        return False
