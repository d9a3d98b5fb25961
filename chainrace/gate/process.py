"""Names an iptables process: whose it is, which family, what it is asked to do."""

from __future__ import annotations

import os
from dataclasses import dataclass

KUBELET_UNIT = "kubelet.service"
SERVICE_UNIT = "iptables.service"
SCRIPT_UNIT = "chainrace-script.service"


@dataclass
class Command:
    """One iptables process of an actor. Times are CLOCK_MONOTONIC seconds."""

    pid: int
    actor: str  # kubelet, script, service or other
    program: str  # iptables, ip6tables-save, ...
    arguments: list[str]
    started: float
    ended: float | None = None
    code: int | None = None


def _actor(pid: int) -> str:
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        unit = file.read().strip().rsplit("/", 1)[-1]  # 0::/system.slice/kubelet.service
    return {KUBELET_UNIT: "kubelet", SERVICE_UNIT: "service", SCRIPT_UNIT: "script"}.get(
        unit, "other"
    )


def describe(pid: int, now: float) -> Command | None:
    """What the process is; None when it is gone or has no arguments (a kernel thread)."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = [os.fsdecode(word) for word in file.read().split(b"\0")[:-1]]
        actor = _actor(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None
    if not words:
        return None
    return Command(pid, actor, os.path.basename(words[0]), words[1:], now)
