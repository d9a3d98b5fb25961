"""One randomized trials, on the node: kubelet starts, the script is started, both are watched.

Every wait ends on a fact: a process has ended, kubelet has logged its word. The
limit only tells a broken environment from a slow one.
"""

from __future__ import annotations

import select
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from chainrace.gate import npm, rules
from chainrace.gate.armed import ArmedScript
from chainrace.gate.clean import CleanState
from chainrace.gate.fanotify import OpenGate
from chainrace.gate.kubelet.journal import Journal
from chainrace.gate.kubelet.monitor import canaries_done
from chainrace.gate.process import KUBELET_UNIT, PROGRAMS, Command, describe
from chainrace.gate.procevents import Ended, ProcessEvents
from chainrace.gate.programs import library, without_library
from chainrace.gate.shell import NodeError, run
from chainrace.gate.units import main_pid
from chainrace.model import protocol
from chainrace.model.actors import KUBELET, OTHER
from chainrace.model.protocol import TrialSeen


@dataclass
class Watch:
    """What has been seen so far. Times are CLOCK_MONOTONIC seconds."""

    started: float = 0.0
    first_step: float | None = None
    script_started: float | None = None
    script_ended: float | None = None
    script_code: int | None = None
    settled: float | None = None
    words: dict[str, str] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)
    journal: list[str] = field(default_factory=list)


class _Trial:
    def __init__(self, script: str | None, delay: float, limit: float) -> None:
        self.script = script
        self.delay = delay
        self.deadline = time.monotonic() + limit
        self.watch = Watch()
        self.running: dict[int, Command] = {}
        self.armed: ArmedScript | None = None
        self.kubelet_pid: int | None = None

    def run(self) -> Watch:
        """Race, to the last fact. Raises NodeError when the environment is broken."""
        with ExitStack() as stack:
            if self.script is not None:
                self.armed = stack.enter_context(ArmedScript(self.script))
            events = stack.enter_context(ProcessEvents())
            gate = stack.enter_context(OpenGate(library(), without_library()))
            journal = stack.enter_context(Journal())
            self.watch.journal, self.watch.words = journal.lines, journal.words
            self.watch.started = time.monotonic()
            run(["systemctl", "start", KUBELET_UNIT])
            self.kubelet_pid = main_pid(KUBELET_UNIT)
            self._loop(gate, events, journal)
        if self.watch.first_step is None:
            raise NodeError("kubelet initialised without running iptables once")
        self.watch.settled = time.monotonic()
        return self.watch

    def _loop(self, gate: OpenGate, events: ProcessEvents, journal: Journal) -> None:
        poll = select.poll()
        for source in (gate, events, journal):
            poll.register(source.fileno(), select.POLLIN)
        while missing := self._missing(journal):
            now = time.monotonic()
            if now > self.deadline:
                raise NodeError(f"the trial's limit passed; {missing}")
            wait = self.deadline - now
            due = self._due()
            if due is not None:
                if due <= now:
                    self._fire()
                    continue
                wait = min(wait, due - now)
            ready = {descriptor for descriptor, _ in poll.poll(max(1.0, wait * 1000))}
            if gate.fileno() in ready:
                self._see(gate)
            if events.fileno() in ready:
                for ended in events.ended():
                    self._end(ended)
            if journal.fileno() in ready:
                journal.hear()

    def _fire(self) -> None:
        assert self.armed is not None  # noqa: S101 - only a script that is armed is due
        self.armed.fire()
        self.watch.script_started = time.monotonic()

    def _due(self) -> float | None:
        """When the script is to be started; None before kubelet is seen, and afterwards."""
        if (
            self.script is None
            or self.watch.first_step is None
            or self.watch.script_started is not None
        ):
            return None
        return self.watch.first_step + self.delay

    def _see(self, gate: OpenGate) -> None:
        for opening in gate.openings():
            now = time.monotonic()
            command = describe(opening.pid, now, in_exec=opening.in_exec)
            gate.allow(opening)
            if command is None or not PROGRAMS.match(command.program):
                continue
            if opening.pid in self.running:
                continue  # one process may open the library more than once
            self.running[opening.pid] = command
            self.watch.commands.append(command)
            if command.actor == KUBELET and self.watch.first_step is None:
                self.watch.first_step = now

    def _end(self, ended: Ended) -> None:
        command = self.running.pop(ended.pid, None)
        if command is not None:
            command.ended, command.code = ended.time, ended.code
        if self.armed is not None and ended.pid == self.armed.pid:
            self.watch.script_ended, self.watch.script_code = ended.time, ended.code
            if self.watch.script_started is None:
                raise NodeError("the script's shell ended before it was started")
        if ended.pid == self.kubelet_pid:
            raise NodeError(f"kubelet ended with {ended.code} in the middle of the trial")

    def _missing(self, journal: Journal) -> str:
        """What the trial still waits for, in words; empty when nothing."""
        if not journal.beyond:
            return "kubelet has not gone beyond its iptables initialisation"
        if self.script is not None and self.watch.script_ended is None:
            return "the script has not ended"
        for family, word in journal.words.items():
            if word == "initialised" and not canaries_done(self.watch.commands, family):
                return f"kubelet has not set up its {family} canaries"
        mine = [command for command in self.running.values() if command.actor != OTHER]
        if mine:
            return f"{mine[0].program} {' '.join(mine[0].arguments)} has not ended"
        return ""


def run_trial(clean: CleanState, asked: protocol.Trial) -> TrialSeen:
    """Restore the clean state, race once, take the rules, stop kubelet.

    The script is started so many seconds after kubelet's first iptables process; the limit
    makes the environment broken. With `azure_npm` its first step is tried on what
    is left, after that has been read. What was seen
    is in the answer even when `error` says that the environment broke.
    """
    begun = time.monotonic()
    trial = _Trial(asked.script, asked.delay, asked.limit)
    answer: dict[str, Any] = {"error": None, "before": {}, "after": {}, "azure_npm": None}
    answer["phases"] = {}
    try:
        clean.restore()
        answer["before"] = clean.rules
        restored = time.monotonic()
        trial.deadline = restored + asked.limit
        trial.run()
        answer["after"] = rules.read()
        taken = time.monotonic()
        answer["azure_npm"] = npm.start() if asked.azure_npm else None
        answer["phases"] = {
            "restore": restored - begun,
            "race": (trial.watch.settled or taken) - restored,
            "rules": taken - (trial.watch.settled or taken),
            "azure_npm": time.monotonic() - taken,
        }
    except (NodeError, OSError) as error:
        answer["error"] = str(error)
    answer["watch"] = asdict(trial.watch)
    return cast("TrialSeen", answer)
