"""What systemd says of its units and of the jobs that it has for them."""

from __future__ import annotations

from chainrace.gate.shell import run


def main_pid(unit: str) -> int:
    """The process that systemd takes for a unit's own; 0 where it has none."""
    return int(run(["systemctl", "show", "-P", "MainPID", unit]).strip())


def after(unit: str) -> frozenset[str]:
    """The units that a unit's start waits for where they have jobs (systemd.unit(5), After=)."""
    return frozenset(run(["systemctl", "show", "-P", "After", unit]).split())


def jobs() -> dict[str, str]:
    """The state of each unit's job, `waiting` or `running`."""
    found = {}
    for line in run(["systemctl", "list-jobs", "--no-legend"]).splitlines():
        # 117 kubelet.service start waiting
        _, unit, _, state = line.split()
        found[unit] = state
    return found
