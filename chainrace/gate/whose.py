"""Whose a process is: by descent, by its cgroup, and by what was started since.

The script's is everything that follows from it: its descendants, and each process of a unit
that was at rest when the gate opened (a unit that systemd starts because of the script, at once
or by a timer that the script has set) while the script is at work. A unit that was busy before is
nobody's: what such a process changes is not the script's doing, and the witness will say that
nothing is proved.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from chainrace.gate.process import SCRIPT_UNIT
from chainrace.gate.procevents import Ended, Event, Forked
from chainrace.model import actors
from chainrace.model.actors import SCRIPT_ACTOR, SUBJECT_ACTOR

SUBJECT, SCRIPT, LAB, NOBODY = "subject", "script", "lab", "nobody"
# Sessions of people, and systemd itself, are nobody's work for the script.
# run-r5f2d.service, run-p812-i813.service, run-u3.service
TRANSIENT = re.compile(r"run-[rpu]\w+")
NEVER = ("session-", "user@", "user-", "init.scope")

Path = tuple[object, ...]


def unit_of(pid: int) -> str:
    """The unit that a process runs in; empty where it is gone, `-` outside any."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="ascii") as file:
            # 0::/system.slice/kubelet.service
            lines = file.read().splitlines()
    except OSError:
        return ""
    parts = lines[-1].rpartition(":")[2].split("/") if lines else []
    named = [part for part in parts if part.endswith((".service", ".scope"))]
    return named[-1] if named else "-"


@dataclass
class Process:
    """One of the script's. `path` orders it among the others: how it was forked."""

    pid: int
    path: Path
    parent: int
    actor: str  # whose: `s`, or `d` for a subject that is not kubelet
    children: set[int] = field(default_factory=set)
    forks: int = 0
    stepped: bool = False  # a step of its own: it executed a program that was let go


class Owners:
    """Grows with the kernel's process events. Feed it each of them, in order."""

    def __init__(
        self,
        at_library: str,
        main_units: Mapping[str, str],
        unit: Callable[[int], str],
        busy: set[str],
        own: set[int],
    ) -> None:
        """`unit` names a process's, `busy` are those that had processes before, `own` the lab's.

        `main_units` has the letter of the actor that runs in a unit; `at_library` is kubelet's
        unit, empty where kubelet is not held so.
        """
        self.unit = unit
        self._at_library = at_library
        self._main_units = dict(main_units)
        self._busy = busy
        self._own = set(own)
        self.at_work: set[str] = set()  # actors, from their begin until all of each has ended
        self.turn = SCRIPT_ACTOR  # whose step is under way
        self.script: dict[int, Process] = {}  # the script's, and the program's
        self.ever: set[int] = set()  # all that ever were the script's
        self.units: dict[str, int] = {}  # of the script: how many roots each has had
        self.actors: dict[str, str] = {}  # whose a unit is

    def feed(self, event: Event) -> None:
        """Take in one event: a child is its parent's, an end ends it."""
        if isinstance(event, Forked):
            if event.parent in self._own:
                self._own.add(event.child)
            parent = self.script.get(event.parent)
            if parent is not None and event.child not in self.script:
                parent.forks += 1
                parent.children.add(event.child)
                self.ever.add(event.child)
                self.script[event.child] = Process(
                    event.child, (*parent.path, parent.forks), parent.pid, parent.actor
                )
        elif isinstance(event, Ended):
            self._own.discard(event.pid)
            gone = self.script.pop(event.pid, None)
            if gone is not None:
                for child in gone.children & self.script.keys():
                    self.script[child].parent = 1
                if gone.parent in self.script:
                    self.script[gone.parent].children.discard(event.pid)

    def adopt(self, pid: int, unit: str, actor: str = SCRIPT_ACTOR) -> Process:
        """A process that systemd started for an actor: the root of its descendants."""
        self.actors.setdefault(unit, actor)
        self.units[unit] = self.units.get(unit, 0) + 1
        # An actor itself comes before any unit that it starts. A transient one has a name by
        # chance: it counts by when it came.
        rank = 0 if unit in self._main_units else 1
        name = list(self.units).index(unit) if TRANSIENT.match(unit) else unit
        process = Process(pid, (rank, str(name), self.units[unit]), 1, self.actors[unit])
        self.script[pid] = process
        self.ever.add(pid)
        return process

    def label(self, pid: int) -> str:
        """A name for people of where one of the script's processes runs; the same on each walk."""
        unit = self.unit(pid)
        if unit == SCRIPT_UNIT:
            return actors.SCRIPT
        if pid in self.script and self.script[pid].actor == SUBJECT_ACTOR:
            return actors.SUBJECT
        return "transient unit" if TRANSIENT.match(unit) else unit.removesuffix(".service")

    def of(self, pid: int) -> str:
        """Whose a process is. Feed what happened before."""
        if pid in self.script:
            return SCRIPT
        unit = self.unit(pid)
        if unit and unit == self._at_library:
            return SUBJECT
        if unit in self._main_units:
            self.adopt(pid, unit, self._main_units[unit])
            return SCRIPT
        if pid in self._own:
            return LAB
        started = unit not in ("", "-") and unit not in self._busy
        if self.at_work and started and not unit.startswith(NEVER):
            # One that has only begun to act by a timer may be another's: it is a step all the same.
            whose = self.turn if self.turn in self.at_work else min(self.at_work)
            self.adopt(pid, unit, whose)
            return SCRIPT
        return NOBODY


def busy_units() -> set[str]:
    """The units that have processes now."""
    return {unit_of(int(entry)) for entry in os.listdir("/proc") if entry.isdigit()} - {""}
