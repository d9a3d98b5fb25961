"""The node's side of the line: one JSON request a line in, one JSON answer a line out."""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Callable
from typing import Any

from chainrace.gate import backends, rules
from chainrace.gate.clean import CleanState
from chainrace.gate.nftables import generation
from chainrace.gate.shell import NodeError
from chainrace.gate.stepping import Stepping
from chainrace.gate.systemd import Systemd
from chainrace.gate.trial import run_trial
from chainrace.model import protocol
from chainrace.model.protocol import A, Request


class Agent:
    """Does what is asked. `clean_state` and `machine` are the node's, which tests replace."""

    def __init__(
        self,
        source: int,
        clean_state: Callable[[], CleanState] = CleanState,
        machine: Callable[[], Systemd] = Systemd,
    ) -> None:
        self.source = source
        self._clean_state = clean_state
        self._machine = machine
        self.clean: CleanState | None = None
        self.stepping: Stepping | None = None

    def answer(self, request: Request[A]) -> A:
        """Do what is asked and return what to answer. Raises NodeError and OSError."""
        known: dict[type[Request[Any]], Callable[[Any], Any]] = {
            protocol.Clean: self._record_clean,
            protocol.Trial: self._trial,
            protocol.Rules: lambda _: rules.read(),
            protocol.Tables: lambda _: backends.tables(),
            protocol.Generation: lambda _: generation(),
            protocol.Arm: self._arm,
            protocol.Walk: self._walk,
            protocol.Watch: lambda asked: self._armed().watch(asked.limit),
            protocol.Release: self._release_and_restore,
            protocol.Leave: lambda _: self.release(leave=True),
            # A restored snapshot brings its own time back with it.
            protocol.Clock: lambda asked: time.clock_settime(time.CLOCK_REALTIME, asked.now),
            # That it came at all has broken off what was under way.
            protocol.Break: lambda _: None,
        }
        answer: A = known[type(request)](request)
        return answer

    def _record_clean(self, _: protocol.Clean) -> dict[str, str]:
        self.release()
        self.clean = self._clean_state()
        return self.clean.rules

    def _trial(self, asked: protocol.Trial) -> protocol.TrialSeen:
        self.release()
        return run_trial(self._clean(), asked)

    def _arm(self, asked: protocol.Arm) -> None:
        self.release()
        self.stepping = Stepping(self._clean(), asked, machine=self._machine(), line=self.source)

    def _walk(self, asked: protocol.Walk) -> protocol.View:
        return self._armed().walk(asked)

    def _release_and_restore(self, _: protocol.Release) -> None:
        # The script may have left a node that lets no ssh in.
        self.release()
        self._clean().restore()

    def _armed(self) -> Stepping:
        if self.stepping is None:
            raise NodeError("nothing is armed")
        return self.stepping

    def _clean(self) -> CleanState:
        if self.clean is None:
            raise NodeError("no clean state is recorded yet")
        return self.clean

    def release(self, *, leave: bool = False) -> None:
        """Let everything go that the gate holds; with `leave` kubelet goes on."""
        if self.stepping is not None:
            stepping = self.stepping
            self.stepping = None
            stepping.close(leave=leave)


class Line:
    """Whole lines from one descriptor, and answers to another."""

    def __init__(self, source: int, target: int) -> None:
        self.source = source
        self._target = target
        self._rest = b""

    def receive(self) -> list[bytes] | None:
        """The lines that have come; None when the other side is gone."""
        data = os.read(self.source, 1 << 16)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines

    def send(self, reply: Any) -> None:
        data = json.dumps(reply).encode() + b"\n"
        while data:
            data = data[os.write(self._target, data) :]


def serve(agent: Agent, line: Line) -> None:
    """Answer until the other side is gone."""
    while True:
        poll = select.poll()
        poll.register(line.source, select.POLLIN)
        for descriptor in agent.stepping.filenos() if agent.stepping else ():
            poll.register(descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll()}
        if agent.stepping and ready - {line.source}:
            agent.stepping.pump(0)
        if line.source in ready:
            lines = line.receive()
            if lines is None:
                return
            for request in lines:
                try:
                    reply = {"ok": agent.answer(protocol.from_line(json.loads(request)))}
                except (NodeError, OSError, ValueError) as error:
                    reply = {"error": str(error)}
                line.send(reply)
