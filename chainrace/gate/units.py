"""What systemd says of its units and of the jobs that it has for them."""

from __future__ import annotations

from chainrace.gate.shell import run


def main_pid(unit: str) -> int:
    """The process that systemd takes for a unit's own; 0 where it has none."""
    return int(run(["systemctl", "show", "-P", "MainPID", unit]).strip())


def jobs() -> dict[str, str]:
    """The state of each unit's job, `waiting` or `running`."""
    found = {}
    for line in run(["systemctl", "list-jobs", "--no-legend"]).splitlines():
        # 117 kubelet.service start waiting
        _, unit, _, state = line.split()
        found[unit] = state
    return found


def held_back_by(unit: str) -> list[str]:
    """The units whose jobs systemd would finish before it starts this one.

    Source: systemd.unit(5), After=, which names those of other units' Before=, too.
    """
    queued = jobs()
    if not queued:
        return []
    after = run(["systemctl", "show", "-P", "After", unit]).split()
    return sorted(queued.keys() & set(after))


def is_behind(unit: str) -> bool:
    """Whether systemd has a job for a unit that waits for another unit's job to be over.

    Every job waits for a moment before it begins.
    """
    return jobs().get(unit) == "waiting" and bool(held_back_by(unit))
