"""Names an iptables process: whose it is, which family, what it is asked to do."""

import os
from dataclasses import dataclass
from typing import List, Optional

KUBELET_UNIT = "kubelet.service"
SERVICE_UNIT = "iptables.service"
SCRIPT_UNIT = "chainrace-script.service"


@dataclass
class Command:
    """One iptables process of an actor. Times are CLOCK_MONOTONIC seconds."""

    pid: int
    actor: str  # kubelet, script, service or other
    program: str  # iptables, ip6tables-save, ...
    arguments: List[str]
    started: float
    ended: Optional[float] = None
    code: Optional[int] = None


def _actor(pid: int) -> str:
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        unit = file.read().strip().rsplit("/", 1)[-1]  # 0::/system.slice/kubelet.service
    return {KUBELET_UNIT: "kubelet", SERVICE_UNIT: "service", SCRIPT_UNIT: "script"}.get(
        unit, "other"
    )


def describe(pid: int, now: float) -> Optional[Command]:
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
