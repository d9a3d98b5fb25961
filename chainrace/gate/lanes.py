"""Which lanes can step now, what each waits for, and whether it has made its last step.

Lanes: kubelet's work on IPv4 (k) and on IPv6 (x), or another subject (d, e, ...), and the script
or the other program with all that follows from it (s, and t, u, ... where several of its processes
wait at once).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrace.gate.actor import Actor, Held
from chainrace.gate.kubelet.actor import FIRST_LANE, Kubelet, lane_of
from chainrace.gate.process import Command
from chainrace.model.actors import HISTORIES, KUBELET, KUBELETS, LANES, SUBJECT_ACTOR, owner

# What is told of a process that waits.
TOLD = ("actor", "program", "arguments", "kind", "foreign", "input", "output")
OF_FILES = ("exe", "source", "target")


class Lanes:
    """A look at all actors and at what is held.

    `may_begin`: kubelet's start does not wait for that of others.
    """

    def __init__(
        self,
        held: Mapping[int, Held],
        kubelet: Kubelet,
        actors: Mapping[str, Actor],
        *,
        may_begin: bool,
    ) -> None:
        """`held` are the processes at the gate, by their number; it stays the caller's.

        `actors` are those with one history each, by letter.
        """
        self.may_begin = may_begin
        self._held = held
        self._kubelet = kubelet
        self._actors = actors

    def done(self, lane: str) -> bool:
        """Whether a lane has made its last step."""
        if lane in self.waiting():
            return False
        if lane in KUBELETS:
            return self._kubelet.done(lane)
        return lane not in self._actors or self._actors[lane].done()

    def is_behind(self, lane: str) -> bool:
        """Whether a lane of kubelet's can only step once the other one has."""
        return lane in KUBELETS and not self.done(lane) and lane not in self.waiting()

    def waiting(self) -> dict[str, Held | None]:
        """Each lane that can step, and the process that waits there: None for a start."""
        found: dict[str, Held | None] = {}
        if self._kubelet.takes_part and not self._kubelet.begun and self.may_begin:
            found[FIRST_LANE] = None
        for one in sorted(self._held.values(), key=lambda one: one.command.pid):
            if one.command.actor == KUBELET:
                found.setdefault(lane_of(one.command), one)
        for letter, actor in self._actors.items():
            if actor.takes_part and not actor.begun:
                found[letter] = None
            found.update(zip(LANES[letter], actor.ready()))
        return found

    def local(self) -> dict[str, Any]:
        """What each lane waits for, and whether it has ended; as plain data."""
        return {
            "next": {lane: self._words(lane, one) for lane, one in self.waiting().items()},
            "done": {lane: self.done(lane) for lane in HISTORIES if self._takes_part(lane)},
        }

    def _takes_part(self, lane: str) -> bool:
        return lane != SUBJECT_ACTOR or lane in self._actors

    def start_of(self, lane: str) -> Command:
        """An actor's own start, as a command."""
        if lane in KUBELETS:
            jobs = any(actor.works_by_systemd() for actor in self._actors.values())
            return self._kubelet.start(jobs=jobs)
        return self._actors[lane].start()

    def _words(self, lane: str, one: Held | None) -> dict[str, Any]:
        command = self.start_of(lane) if one is None else one.command
        if one is not None and owner(lane) in self._actors:
            command.output = self._actors[owner(lane)].output(one)
        shown = vars(command)
        return {name: shown[name] for name in (*TOLD, *OF_FILES)}
