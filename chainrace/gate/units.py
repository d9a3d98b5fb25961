"""What systemd says of its units and of the jobs that it has for them."""

from __future__ import annotations

from collections.abc import Mapping

from chainrace.gate.shell import run


def main_pid(unit: str) -> int:
    """The process that systemd takes for a unit's own; 0 where it has none."""
    return int(run(["systemctl", "show", "-P", "MainPID", unit]).strip())


def jobs() -> dict[str, str]:
    """The state of each unit's job, `waiting` or `running`."""
    return {unit: state for unit, (_, state) in _listed().items()}


def _listed() -> dict[str, tuple[str, str]]:
    """What each unit's job is to do (`start`, `stop`, `restart`), and its state."""
    found = {}
    for line in run(["systemctl", "list-jobs", "--no-legend"]).splitlines():
        # 117 kubelet.service start waiting
        _, unit, kind, state = line.split()
        found[unit] = kind, state
    return found


def held_back_by(unit: str) -> list[str]:
    """The units whose jobs systemd would finish before it starts this one.

    A stop comes before a start, whichever unit is to be first. Source: systemd.unit(5), Before=
    and After=; each names those of other units, too.
    """
    queued = _listed()
    return _before(unit, queued) if queued else []


def is_behind(unit: str) -> bool:
    """Whether systemd has a job for a unit that waits for another unit's job to be over.

    Every job waits for a moment before it begins.
    """
    queued = _listed()
    waits = unit in queued and queued[unit][1] == "waiting"
    return waits and bool(_before(unit, queued))


def _before(unit: str, queued: Mapping[str, tuple[str, str]]) -> list[str]:
    named = {}
    for line in run(["systemctl", "show", "-p", "After", "-p", "Before", unit]).splitlines():
        # After=network.target iptables.service
        name, _, units = line.partition("=")
        named[name] = units.split()
    stops = {other for other, (kind, _) in queued.items() if kind in ("stop", "restart")}
    return sorted(queued.keys() & set(named["After"]) | stops & set(named["Before"]))
