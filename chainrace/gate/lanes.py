"""Which lanes can step now, what each waits for, and whether it has made its last step.

Lanes: kubelet's work on IPv4 (k) and on IPv6 (x), or another subject (d, e, ...), and the script
with all that follows from it (s, and t, u, ... where several of its processes wait at once).
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from chainrace.gate.door import interpreter_of
from chainrace.gate.kubelet import BEGINS, FIRST_LANE, Kubelet, lane_of
from chainrace.gate.process import Command, kind_of
from chainrace.gate.program import Program
from chainrace.gate.script import Held, ScriptActor
from chainrace.model.actors import (
    HISTORIES,
    KUBELET,
    KUBELETS,
    LANES,
    SCRIPT_ACTOR,
    SUBJECT,
    SUBJECT_ACTOR,
    owner,
)

# What is told of a process that waits.
TOLD = ("actor", "program", "arguments", "kind", "foreign", "input", "output")
OF_FILES = ("exe", "source", "target")


class Lanes:
    """A look at both actors and at what is held.

    `may_begin`: kubelet's start does not wait for that of others.
    """

    def __init__(
        self,
        script_path: str | None,
        held: Mapping[int, Held],
        kubelet: Kubelet,
        script: ScriptActor,
        program: Program | None,
        *,
        may_begin: bool,
    ) -> None:
        """`held` are the processes at the gate, by their number; it stays the caller's."""
        self.may_begin = may_begin
        self._script_path = script_path
        self._held = held
        self._kubelet = kubelet
        self._script = script
        self._program = program

    def done(self, lane: str) -> bool:
        """Whether a lane has made its last step."""
        if lane in self.waiting():
            return False
        if lane in KUBELETS:
            return self._kubelet.done(lane)
        if lane == SUBJECT_ACTOR:
            return self._program is None or (self._program.begun and self._program.ended)
        if lane != SCRIPT_ACTOR:
            return True
        return self._script_path is None or self._script.ended

    def is_behind(self, lane: str) -> bool:
        """Whether a lane of kubelet's can only step once the other one has."""
        return lane in KUBELETS and not self.done(lane) and lane not in self.waiting()

    def waiting(self) -> dict[str, Held | None]:
        """Each lane that can step, and the process that waits there: None for a start."""
        found: dict[str, Held | None] = {}
        if self._program is not None:
            if not self._program.begun:
                found[SUBJECT_ACTOR] = None
            found.update(zip(LANES[SUBJECT_ACTOR], self._program.ready()))
        elif not self._kubelet.begun and self.may_begin:
            found[FIRST_LANE] = None
        if self._script_path is not None and not self._script.begun:
            found[SCRIPT_ACTOR] = None
        for one in sorted(self._held.values(), key=lambda one: one.command.pid):
            if one.command.actor == KUBELET:
                found.setdefault(lane_of(one.command), one)
        found.update(zip(LANES[SCRIPT_ACTOR], self._script.ready()))
        return found

    def local(self) -> dict[str, Any]:
        """What each lane waits for, and whether it has ended; as plain data."""
        return {
            "next": {lane: self._words(lane, one) for lane, one in self.waiting().items()},
            "done": {lane: self.done(lane) for lane in HISTORIES if self._takes_part(lane)},
        }

    def _takes_part(self, lane: str) -> bool:
        return lane != SUBJECT_ACTOR or self._program is not None

    def start_of(self, lane: str) -> Command:
        """Kubelet's own start, or the script's, as a command."""
        now = time.monotonic()
        if lane in KUBELETS:
            return Command(0, KUBELET, KUBELET, [BEGINS], now)
        if lane == SUBJECT_ACTOR:
            return Command(0, SUBJECT, SUBJECT, [BEGINS], now)
        with open(self._script_path or "", "rb") as file:
            interpreter = interpreter_of(file.fileno())
        kind = kind_of(os.path.realpath(self._script_path or ""), interpreter)
        return Command(0, "script", "script", [BEGINS], now, kind=kind)

    def _words(self, lane: str, one: Held | None) -> dict[str, Any]:
        command = self.start_of(lane) if one is None else one.command
        actor = {SCRIPT_ACTOR: self._script, SUBJECT_ACTOR: self._program}.get(owner(lane))
        if one is not None and actor is not None:
            command.output = actor.output(one)
        shown = vars(command)
        return {name: shown[name] for name in (*TOLD, *OF_FILES)}
