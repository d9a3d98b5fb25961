"""All actors step by step: each process waits until it is told to go.

The first step of each actor is its start. Between two steps the node is settled: every lane waits
at its next process, has ended, or cannot go on before another has. All waits end on such facts; a
limit that passes is an error.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, cast

from chainrace.gate.actor import Held
from chainrace.gate.actors import actors_of
from chainrace.gate.arrivals import Arrivals
from chainrace.gate.clean import CleanState
from chainrace.gate.door import Door, Waiting
from chainrace.gate.kubelet.actor import FIRST_LANE, lane_of
from chainrace.gate.kubelet.monitor import Looks, of_canary
from chainrace.gate.lanes import Lanes
from chainrace.gate.process import Command
from chainrace.gate.procevents import Ended
from chainrace.gate.programs import library, without_library
from chainrace.gate.proof import Proof, Settled
from chainrace.gate.shell import NodeError
from chainrace.gate.shells import Shells
from chainrace.gate.shown import Shown
from chainrace.gate.systemd import Systemd
from chainrace.gate.whose import SCRIPT, SUBJECT
from chainrace.gate.world import World
from chainrace.model.actors import KUBELET, KUBELETS, group, owner
from chainrace.model.protocol import Arm, View, Walk, Watched

# How often a fact that comes without an event is looked for, from the first look to later ones.
LOOKS = (0.001, 0.002, 0.004, 0.008, 0.02, 0.05)


class Stepping:
    """One start of the subject and one of the other, under the gate. Close it after use."""

    def __init__(
        self,
        clean: CleanState,
        asked: Arm,
        *,
        machine: Systemd,
        line: int | None = None,
    ) -> None:
        """Bring the node to its clean state; nothing has begun when this returns.

        `line` is a descriptor on which whoever drives this may break a wait off. Raises NodeError.
        """
        script = asked.script
        self.lazy = asked.lazy
        self.held: dict[int, Held] = {}
        self._looking: dict[int, Held] = {}  # of kubelet's Monitor, until all is over
        self.running: dict[int, Command] = {}
        self.commands: list[Command] = []
        self.limit = asked.limit
        self._free = self._left = False
        self._disturbed = ""
        self._line = line
        self._shells = Shells(script)
        self._trail: list[dict[str, Any]] = []
        self._entropy = ""
        self._beginning = 0.0  # the seconds that kubelet's own start took in the last walk
        if asked.boot:
            clean.as_at_boot()
        elif not asked.fresh:
            clean.restore()
        with ExitStack() as stack:
            self._machine = machine
            # What systemd orders kubelet behind; another subject's jobs say that by themselves.
            before = self._machine.before_subject
            self._behind = [] if asked.program else before(boot=asked.boot)
            self._events = stack.enter_context(self._machine.process_events())
            self._journal = stack.enter_context(self._machine.journal())
            actors = actors_of(
                self._machine,
                self._journal,
                self.commands,
                self.held,
                script=script or "",
                subject=asked.program,
                other=asked.other,
                others_wait=self._others_wait,
            )
            self._owners, self.kubelet, self.other = actors.owners, actors.kubelet, actors.other
            self.actors = actors.by_letter
            self._lanes = Lanes(self.held, self.kubelet, self.actors, may_begin=not self._behind)
            self._proof = stack.enter_context(
                Proof(
                    self._owners,
                    partial(self._machine.witness, self._shells.files),
                    self._machine.file_systems(),
                    script,
                )
            )
            self._arrivals = Arrivals(
                script or "", self._owners, self.actors, self._shells, self._proof
            )
            stack.callback(self._end_all)
            # Entered last: whatever is held goes on before its unit is ended.
            self._door = stack.enter_context(
                Door(
                    self._owners,
                    self._events,
                    library(),
                    without_library(),
                    self._machine.file_systems(),
                    by_mount=self._machine.by_mount,
                )
            )
            for actor in self.actors.values():
                stack.callback(actor.pipes.close)
            self._door.let_pass(self._arrivals.is_the_script)
            self._poll = select.poll()
            for descriptor in self.filenos():
                self._poll.register(descriptor, select.POLLIN)
            self._world = World(clean.backend, self.pump, self._poll)
            self._shown = Shown(
                self._journal,
                self.kubelet,
                actors.subject,
                self.other,
                self._proof,
                self._world,
                actors.judged(other=asked.judges_other),
            )
            self._stack = stack.pop_all()

    def filenos(self) -> tuple[int, ...]:
        """What to wait on while no request is served; call `pump` when one is ready."""
        return self._door.fileno(), self._journal.fileno()

    def walk(self, asked: Walk) -> View:
        """Let lanes step, turn by turn; `None` steps are all that the actor still has.

        A lane that has ended makes no more steps, and a turn of so many steps none after so many
        seconds: a subject's own start takes the time that it takes. Of kubelet's lanes one that
        has to be first steps where the other is told to. Steps of lazy lanes are not among those
        made. Raises NodeError for a lane that cannot step before another has.
        """
        self._entropy = asked.entropy
        self._beginning = 0.0
        made: list[str] = []
        counts = []
        for lane, steps in asked.turns:
            count = 0
            deadline = math.inf
            if asked.seconds is not None and steps is not None:
                deadline = time.monotonic() + asked.seconds
            while count != steps and not self._lanes.done(lane):
                if time.monotonic() > deadline:
                    break
                made += self._bring(lane)
                if self._lanes.done(lane):
                    break  # it has dropped its family: the other one's last step was its last
                self._step(lane)
                made.append(lane)
                count += 1
            counts.append(count)
        return self._view(asked, made, counts)

    def _view(self, asked: Walk, made: list[str], counts: list[int]) -> View:
        """What can be seen now."""
        if self._disturbed:
            raise NodeError(self._disturbed)
        seen: dict[str, Any] = {
            "made": made,
            "counts": counts,
            "commands": [
                {**vars(one), **step, **({} if asked.places else {"before": None})}
                for one, step in zip(self.commands, self._trail)
            ],
            **self._lanes.local(),
            **self._shown.actors(one.command for one in self.held.values()),
            "beginning": self._beginning,
            "doubts": [*self._proof.doubts, *self._unheld()],
        }
        started = time.monotonic()
        if asked.rules_too:
            seen |= self._shown.rules()
        if asked.evidence:
            seen |= self._shown.evidence(seen["rules"])
        seen["reading"] = time.monotonic() - started
        return cast("View", seen)

    def watch(self, limit: float) -> Watched:
        """Let everything run until kubelet's Monitor has taken its look, or `limit` passed.

        With the look and the repair that followed it over, the next look would find the same.
        """
        self._free = True
        # Of another subject nobody can see when it looks.
        words = {} if self._shown.judged else self._journal.words
        looks = Looks(self.commands, words)
        self.held.update(self._looking)
        self._looking.clear()
        for waiting in list(self.held.values()):
            self._release(waiting)
        while not looks.over and looks.seconds < limit and not self.kubelet.stopped:
            self._heed()
            self.pump(LOOKS[-1])
        self._proof.take_changed()
        rules = self._world.parts(None)
        seen = {"looked": looks.looked(), "seconds": looks.seconds, "rules": rules}
        return cast("Watched", {**seen, **self._shown.after_all(rules)})

    def pump(self, seconds: float) -> set[int]:
        """Take in what happens within so many seconds; returns the ready descriptors."""
        ready = {descriptor for descriptor, _ in self._poll.poll(max(0.0, seconds) * 1000)}
        if self._journal.fileno() in ready:
            self._journal.hear()
        came, heard = self._door.take()
        for waiting in came:
            self._see(waiting)
        for event in heard:
            if isinstance(event, Ended):
                self._end(event)
        return ready

    def close(self, *, leave: bool = False) -> None:
        """Let everything go that waits, and end kubelet and the script with what it started.

        With `leave` they are not ended.
        """
        self._left = leave
        self._stack.close()

    def _end_all(self) -> None:
        if not self._left:
            self._machine.end(list(self._owners.script))

    def _see(self, waiting: Waiting) -> None:
        pid = waiting.pid
        # One process of kubelet's may open the library twice.
        again = waiting.owner != SCRIPT and pid in self.running
        command = None if again else self._arrivals.named(waiting)
        if command is None:
            self._door.allow(waiting)
            return
        if waiting.owner == SUBJECT and not self._free and self.kubelet.done(lane_of(command)):
            if of_canary(command):
                # What is explored comes before its minute is over, however slow this machine is.
                self._looking[pid] = Held(command, waiting)
                return
            self._disturbed = f"kubelet went on after its last step: {command.program}"
        self.held[pid] = Held(command, waiting)
        if waiting.owner == SCRIPT:
            self._arrivals.connect(self.held[pid])
        if self._free:
            self._release(self.held[pid])

    def _end(self, ended: Ended) -> None:
        command = self.running.pop(ended.pid, None)
        if command is not None:
            command.ended, command.code = ended.time, ended.code
        for waiting in (self.held, self._looking):
            if ended.pid not in waiting:
                continue
            killed = waiting.pop(ended.pid)
            self._door.allow(killed.waiting)
            with_kubelet = killed.command.actor == KUBELET and (
                killed.command.started < self.kubelet.replaced_at
                or self.kubelet.is_replaced()
                or self._machine.subject_state() != "active"
            )
            if not with_kubelet:
                self._proof.doubt(f"{killed.command.program} was ended while it was held")
        for actor in self.actors.values():
            actor.heard_end(ended.pid, ended.code)
        if why := self.kubelet.ended(ended.pid, ended.code):
            self._disturbed = why

    def _unheld(self) -> list[str]:
        return [f"{words} was executed past the gate" for words in self._door.passed]

    def _bring(self, lane: str) -> list[str]:
        """Have kubelet's other lane step until this one waits; its steps, unless it is lazy."""
        made = []
        while self._lanes.is_behind(lane):
            others = [one for one in KUBELETS if one != lane and one in self._lanes.waiting()]
            if not others:
                break
            self._step(others[0])
            made += [one for one in others[:1] if one not in self.lazy]
        return made

    def _step(self, lane: str) -> None:
        waiting = self._lanes.waiting()
        if lane not in waiting:
            raise NodeError(f"{lane} cannot go on before another actor has")
        one = waiting[lane]
        self._owners.turn = owner(lane)
        self._proof.begin(lane)
        made: dict[str, Any] = {"lane": lane, "before": self._lanes.local()}
        self._trail.append(made)
        started = time.monotonic()
        if one is None:
            self._begin(lane)
        else:
            self._release(one)
        self._settle(made)
        if one is None and lane in KUBELETS:
            self._beginning = time.monotonic() - started

    def _begin(self, lane: str) -> None:
        command = self._lanes.start_of(lane)
        command.code = 0
        self.commands.append(command)
        if lane in KUBELETS:
            self.kubelet.begun = True
            self._machine.begin_unit(self._entropy, self._machine.subject_unit)
            return
        self.actors[lane].begun = True
        self._owners.at_work.add(lane)
        self.actors[lane].begin(self._entropy)

    def _release(self, one: Held) -> None:
        command = one.command
        del self.held[command.pid]
        self.running[command.pid] = command
        command.started = time.monotonic()
        self.commands.append(command)
        self._proof.let_go(command)
        if one.waiting.owner == SCRIPT:
            actor = self._arrivals.actor_of(command.pid)
            actor.let_go(command.pid, len(self.commands) - 1, listen=not self._free)
        if not self._free:
            for each in self.actors.values():
                each.pipes.resume()
        self._door.allow(one.waiting)

    def _settle(self, made: dict[str, Any]) -> None:
        """Wait until every lane waits, has ended, or needs another to go on first."""
        self._until(self._missing)
        # kubelet works on one family after the other.
        for lane in set(KUBELETS) - set(self.lazy):
            while (
                self.kubelet.begun
                and not self._lanes.done(lane)
                and lane not in self._lanes.waiting()
            ):
                others = [one for one in self.lazy if one in self._lanes.waiting()]
                if not others:
                    break
                further: dict[str, Any] = {"lane": others[0], "before": self._lanes.local()}
                self._trail.append({**further, "answers": [], **Settled()._asdict()})
                one = self._lanes.waiting()[others[0]]
                assert one is not None  # noqa: S101 - kubelet has begun
                self._release(one)
                self._until(self._missing)
        if not self._lanes.may_begin:
            # Both are wanted at once: kubelet is asked for when what comes before it has been.
            jobs = self._machine.jobs()
            self._lanes.may_begin = self.other.ended or any(unit in jobs for unit in self._behind)
            if self._lanes.may_begin and not self.kubelet.begun:
                begins = {"lane": FIRST_LANE, "before": self._lanes.local()}
                self._trail.append({**begins, "answers": [], **Settled()._asdict()})
                self._begin(FIRST_LANE)
                self._until(self._missing)
        made["answers"] = [
            vars(one) for actor in self.actors.values() for one in actor.take_answers()
        ]
        made.update(self._proof.settle()._asdict())

    def _until(self, missing: Callable[[], str]) -> None:
        deadline = time.monotonic() + self.limit
        looks, before = 0, ""
        self.pump(0)
        while why := missing():
            if self._disturbed:
                raise NodeError(self._disturbed)
            if time.monotonic() > deadline:
                raise NodeError(f"the limit of {self.limit:.0f} s passed; {why}")
            self._heed()
            # What has changed is looked at again soon.
            looks, before = looks + 1 if why == before else 0, why
            self.pump(LOOKS[min(looks, len(LOOKS) - 1)])

    def _heed(self) -> None:
        """Break a wait off when whoever drives this says so: anything on the line."""
        if self._line is not None:
            poll = select.poll()
            poll.register(self._line, select.POLLIN)
            if poll.poll(0):
                raise NodeError("broken off")

    def _missing(self) -> str:
        """What keeps the node from being settled, in words; empty when nothing."""
        for command in self.running.values():
            if command.actor == KUBELET:
                return f"{command.program} {' '.join(command.arguments)} has not ended"
        held = [one.command for one in self.held.values()]
        # Of kubelet systemd is asked, as long as it has not been started: so it comes last.
        for actor in self.actors.values():
            if why := actor.missing():
                return why
        return self.kubelet.missing(held, others_wait=partial(self._others_wait, FIRST_LANE))

    def _others_wait(self, letter: str) -> bool:
        """Whether another actor than this one can step."""
        return any(group(lane) != letter for lane in self._lanes.waiting())
