"""What systemd says of its units and of the jobs that it has for them."""

from __future__ import annotations

from chainrace.gate.shell import run


def main_pid(unit: str) -> int:
    """The process that systemd takes for a unit's own; 0 where it has none."""
    return int(run(["systemctl", "show", "-P", "MainPID", unit]).strip())


def jobs() -> dict[str, str]:
    """The state of each unit's job, `waiting` or `running`."""
    return {unit: state for unit, _, state in _listed()}


def _listed() -> list[tuple[str, str, str]]:
    """Each job's unit, what it is to do (`start`, `stop`, `restart`), and its state."""
    found = []
    for line in run(["systemctl", "list-jobs", "--no-legend"]).splitlines():
        # 117 kubelet.service start waiting
        _, unit, kind, state = line.split()
        found.append((unit, kind, state))
    return found


def held_back_by(unit: str) -> list[str]:
    """The units whose jobs systemd would finish before it starts this one.

    A stop comes before a start, whichever unit is to be first. Source: systemd.unit(5), Before=
    and After=; each names those of other units, too.
    """
    queued = {other: kind for other, kind, _ in _listed()}
    if not queued:
        return []
    told = run(["systemctl", "show", "-p", "After", "-p", "Before", unit])
    # After=network.target iptables.service
    named = {
        name: units.split()
        for name, _, units in (line.partition("=") for line in told.splitlines())
    }
    stops = {other for other, kind in queued.items() if kind in ("stop", "restart")}
    behind = queued.keys() & set(named["After"]) | stops & set(named["Before"])
    return sorted(behind)


def is_behind(unit: str) -> bool:
    """Whether systemd has a job for a unit that waits for another unit's job to be over.

    Every job waits for a moment before it begins.
    """
    return jobs().get(unit) == "waiting" and bool(held_back_by(unit))
