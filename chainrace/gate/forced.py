"""kubelet and the script step by step: each iptables process waits until it is told to go.

Three actors: kubelet's work on IPv4 (k), on IPv6 (x), and the script with the service
that it restarts (s). Between two steps the node is settled: every actor waits at its
next process, has ended, or cannot go on before another has. All waits end on such
facts; a limit that passes is an error.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from chainrace.gate.armed import ArmedScript
from chainrace.gate.clean import CleanState
from chainrace.gate.fanotify import OpenGate, Opening
from chainrace.gate.journal import Journal
from chainrace.gate.monitor import canaries_done, look_over, of_canary
from chainrace.gate.process import (
    KUBELET,
    KUBELET_UNIT,
    KUBELETS,
    OTHER,
    PROGRAMS,
    SCRIPT_ACTOR,
    SERVICE_UNITS,
    Command,
    describe,
    waits_for_a_writer,
)
from chainrace.gate.procevents import Ended, ProcessEvents
from chainrace.gate.programs import library, without_library
from chainrace.gate.reading import Reader
from chainrace.gate.shell import NodeError, run
from chainrace.gate.units import jobs, main_pid

ACTORS = (*KUBELETS, SCRIPT_ACTOR)
# How often a fact that comes without an event is looked for: systemd's job list.
LOOK_SECONDS = 0.5


def actor_of(command: Command) -> str | None:
    """The letter of the actor that a process belongs to; None for others."""
    if command.actor == OTHER:
        return None
    if command.actor == KUBELET:
        return "x" if command.family == "ipv6" else "k"
    return SCRIPT_ACTOR


@dataclass
class Held:
    """A process that waits, and the handle that lets it go."""

    command: Command
    opening: Opening


class Forced:
    """One start of kubelet and one run of the script, under the gate. Close it after use."""

    def __init__(
        self, clean: CleanState, script: str | None, lazy: list[str], limit: float, *, boot: bool
    ) -> None:
        """Bring the node to its clean state, start both; returns when both wait.

        Without a `script` kubelet starts alone. A `lazy` actor of kubelet's steps only where
        the other family's cannot go on before it, or where it is told to. `limit` in seconds
        is for each wait. With `boot` it all begins before iptables.service has been started.
        Raises NodeError.
        """
        self.lazy = lazy
        self.held: dict[int, Held] = {}
        self.running: dict[int, Command] = {}
        self.commands: list[Command] = []
        self.limit = limit
        self._free = False
        self._disturbed = ""
        self._service_idle = False
        self._kubelet_pid: int | None = None
        self._restarts = 0
        self._replaced_at = 0.0  # when the kubelet before this one ended
        self._before_kubelet = 0  # commands released before this kubelet's start
        if boot:
            clean.as_at_boot()
        else:
            clean.restore()
        with ExitStack() as stack:
            self._script = stack.enter_context(ArmedScript(script)) if script else None
            stack.callback(run, ["systemctl", "stop", KUBELET_UNIT])
            self._events = stack.enter_context(ProcessEvents())
            self._journal = stack.enter_context(Journal())
            # Entered last: whatever is held goes on before its unit is ended.
            self._gate = stack.enter_context(OpenGate(library(), without_library()))
            self._poll = select.poll()
            for descriptor in self.filenos():
                self._poll.register(descriptor, select.POLLIN)
            self._reader = Reader(clean.backend, self.pump, self._poll)
            if self._script is not None:
                self._script.fire()
                self._until(self._script_missing)
            # It may be ordered behind a unit that the gate holds.
            run(["systemctl", "start", "--no-block", KUBELET_UNIT])
            self._settle()
            self._stack = stack.pop_all()

    def filenos(self) -> tuple[int, ...]:
        """What to wait on while no request is served; call `pump` when one is ready."""
        return self._gate.fileno(), self._events.fileno(), self._journal.fileno()

    def walk(self, turns: list[tuple[str, int | None]]) -> list[tuple[str, int]]:
        """Let actors step, turn by turn; `None` steps are all that the actor still has.

        An actor that has ended makes no more steps. Returns the turns as they were
        made. Raises NodeError for an actor that cannot step before another has.
        """
        made = []
        for actor, steps in turns:
            count = 0
            while count != steps and not self.done(actor):
                waiting = self._waiting(actor)
                if not waiting:
                    raise NodeError(f"{actor} cannot go on before another actor has")
                self._release(waiting[0])
                self._settle()
                count += 1
            made.append((actor, count))
        return made

    def view(self, *, rules_too: bool, evidence: bool) -> dict[str, Any]:
        """What can be seen now, as plain data for JSON.

        `rules_too`: the rules and the saved files; `evidence`: kubelet's journal.
        """
        if self._disturbed:
            raise NodeError(self._disturbed)
        seen: dict[str, Any] = {
            "commands": [vars(one) for one in self.commands],
            "next": {actor: self._next_words(actor) for actor in ACTORS},
            "done": {actor: self.done(actor) for actor in ACTORS},
            "first_family": self._first_family(),
            "restarts": self._restarts,
            "words": self._journal.words,
            "script_code": self._script.code if self._script else None,
        }
        started = time.monotonic()
        if rules_too:
            seen["rules"] = self._reader.rules(self.commands)
            seen["saved"] = self._reader.saved()
        if evidence:
            seen["journal"] = self._journal.lines
        seen["reading"] = time.monotonic() - started
        return seen

    def watch(self, limit: float) -> dict[str, Any]:
        """Let everything run until kubelet's Monitor has taken its look, or `limit` passed.

        `looked` says for each family whether it did: with the look and the repair that
        followed it over, the next look would find the same.
        """
        self._free = True
        for waiting in list(self.held.values()):
            self._release(waiting)
        since = time.monotonic()
        initialised = [f for f, word in self._journal.words.items() if word == "initialised"]

        def looked(family: str) -> bool:
            return look_over([one for one in self.commands if one.started > since], family)

        while time.monotonic() < since + limit:
            if initialised and all(looked(family) for family in initialised):
                break
            self.pump(LOOK_SECONDS)
        return {
            "looked": {family: looked(family) for family in initialised},
            "seconds": time.monotonic() - since,
            "rules": self._reader.rules(self.commands),
        }

    def done(self, actor: str) -> bool:
        """Whether an actor has made its last step."""
        if self._waiting(actor):
            return False
        if actor == SCRIPT_ACTOR:
            return self._script is None or self._script.ended is not None
        family = KUBELETS[actor]
        if self._journal.words.get(family) == "initialised":
            return canaries_done(self._since_start(), family)
        return family in self._journal.words or self._journal.beyond

    def pump(self, seconds: float) -> set[int]:
        """Take in what happens within so many seconds; returns the ready descriptors."""
        ready = {descriptor for descriptor, _ in self._poll.poll(max(0.0, seconds) * 1000)}
        if self._gate.fileno() in ready:
            for opening in self._gate.openings():
                self._see(opening)
        if self._events.fileno() in ready:
            for ended in self._events.ended():
                self._end(ended)
        if self._journal.fileno() in ready:
            self._journal.hear()
        return ready

    def close(self) -> None:
        """Let everything go that waits, and end kubelet and the script's unit."""
        self._stack.close()

    def _see(self, opening: Opening) -> None:
        command = describe(opening.pid, time.monotonic(), in_exec=opening.in_exec)
        again = opening.pid in self.running  # one process may open the library twice
        if command is None or again or not PROGRAMS.match(command.program):
            self._gate.allow(opening)
            return
        actor = actor_of(command)
        if actor is None:
            self._gate.allow(opening)
            return
        if not self._free and actor in KUBELETS and self.done(actor):
            canaries = (one.started for one in self._since_start() if of_canary(one))
            begun = next(canaries, command.started)
            self._disturbed = (
                f"kubelet's Monitor took its minute's look in the middle, "
                f"{command.started - begun:.0f} s after its first canary"
            )
        self.held[opening.pid] = Held(command, opening)
        if self._free:
            self._release(self.held[opening.pid])

    def _end(self, ended: Ended) -> None:
        command = self.running.pop(ended.pid, None)
        if command is not None:
            command.ended, command.code = ended.time, ended.code
        if ended.pid in self.held:
            killed = self.held.pop(ended.pid)
            self._gate.allow(killed.opening)
            with_kubelet = killed.command.actor == KUBELET and (
                killed.command.started < self._replaced_at or self._replaced()
            )
            if not with_kubelet:
                self._disturbed = f"{killed.command.program} was ended while it was held"
        if self._script is not None and ended.pid == self._script.pid:
            self._script.ended, self._script.code = ended.time, ended.code
        if ended.pid == self._kubelet_pid:
            if self._replaced():
                # The script restarts it: what follows is another kubelet's.
                self._kubelet_pid = None
                self._replaced_at = ended.time
                self._restarts += 1
                self._before_kubelet = len(self.commands)
                self._journal.forget(ended.pid)
            else:
                self._disturbed = f"kubelet ended with {ended.code} in the middle"

    def _replaced(self) -> bool:
        """Whether kubelet is being restarted, or has been: its end may be heard of late."""
        return KUBELET_UNIT in jobs() or main_pid(KUBELET_UNIT) not in (0, self._kubelet_pid)

    def _release(self, waiting: Held) -> None:
        command = waiting.command
        del self.held[command.pid]
        self.running[command.pid] = command
        command.started = time.monotonic()
        self.commands.append(command)
        self._gate.allow(waiting.opening)

    def _settle(self) -> None:
        """Wait until every actor waits, has ended, or needs another to go on first."""
        self._until(self._missing)
        # kubelet works on one family after the other.
        for actor in set(KUBELETS) - set(self.lazy):
            while not self.done(actor) and not self._waiting(actor):
                others = [one for lazy in self.lazy for one in self._waiting(lazy)]
                if not others:
                    break
                self._release(others[0])
                self._until(self._missing)

    def _waiting(self, actor: str) -> list[Held]:
        """The actor's processes that wait and have all their input, oldest first.

        In a pipeline the writers come before the reader, whichever was seen first.
        """
        mine = [self.held[pid] for pid in sorted(self.held)]
        return [
            one
            for one in mine
            if actor_of(one.command) == actor
            and (actor in KUBELETS or not waits_for_a_writer(one.command.pid))
        ]

    def _since_start(self) -> list[Command]:
        """What was released since the kubelet that runs now was started."""
        return self.commands[self._before_kubelet :]

    def _next_words(self, actor: str) -> list[str] | None:
        waiting = self._waiting(actor)
        if not waiting:
            return None
        return [waiting[0].command.actor, waiting[0].command.program, *waiting[0].command.arguments]

    def _first_family(self) -> str | None:
        """The family that kubelet initialises first: random at each start (a Go map)."""
        begun = (one for one in self.commands if one.actor == KUBELET and "-N" in one.arguments)
        return next((one.family for one in begun), None)

    def _until(self, missing: Callable[[], str]) -> None:
        deadline = time.monotonic() + self.limit
        while why := missing():
            if self._disturbed:
                raise NodeError(self._disturbed)
            left = deadline - time.monotonic()
            if left <= 0:
                raise NodeError(f"the limit of {self.limit:.0f} s passed; {why}")
            self.pump(min(left, LOOK_SECONDS))

    def _missing(self) -> str:
        """What keeps the node from being settled, in words; empty when nothing."""
        for command in self.running.values():
            return f"{command.program} {' '.join(command.arguments)} has not ended"
        return self._kubelet_missing() or self._script_missing()

    def _kubelet_missing(self) -> str:
        if self._kubelet_pid is None:
            if jobs().get(KUBELET_UNIT) == "waiting":
                # Behind the script's unit or the service: not before that has gone on.
                return "" if self._waiting(SCRIPT_ACTOR) else "kubelet's start waits for a unit"
            self._kubelet_pid = main_pid(KUBELET_UNIT) or None
            if self._kubelet_pid is None:
                if run(["systemctl", "show", "-P", "ActiveState", KUBELET_UNIT]) == "failed\n":
                    self._disturbed = "kubelet ended before its first step"
                return "kubelet has not been started yet"
        held = [one.command for one in self.held.values() if one.command.actor == KUBELET]
        first = next((one for one in held if not of_canary(one)), None)
        if first is None and not self._journal.beyond:
            return "kubelet is on its way to its next step"
        begun = {
            one.family
            for one in self._since_start()
            if one.actor == KUBELET and not of_canary(one) and "-N" in one.arguments
        }
        for family in begun - set(self._journal.words):
            # It says its word on one family before it goes on to the next.
            if first is not None and first.family != family:
                return f"kubelet has not said its word on {family}"
        for family, word in self._journal.words.items():
            if (
                word == "initialised"
                and not canaries_done(self._since_start(), family)
                and not any(of_canary(one) and one.family == family for one in held)
            ):
                return f"kubelet is on its way to its next {family} canary"
        return ""

    def _script_missing(self) -> str:
        mine = [one for one in self.held.values() if actor_of(one.command) == SCRIPT_ACTOR]
        if self._waiting(SCRIPT_ACTOR):
            return ""
        if mine:
            return f"{mine[0].command.program} waits for its input"
        if self._script is None:
            return ""
        if self._script.ended is None:
            return "the script has not ended and runs no iptables process"
        if not self._service_idle:
            self._service_idle = not jobs().keys() & SERVICE_UNITS
        return "" if self._service_idle else "the service's job has not ended"
