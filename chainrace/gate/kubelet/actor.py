"""kubelet under the gate: what it has done, what it waits for, whether it has been started anew.

Two lanes: its work on IPv4 (k) and on IPv6 (x). Its first step, in either, is its own start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from chainrace.gate.actor import begins
from chainrace.gate.kubelet.journal import Journal
from chainrace.gate.kubelet.monitor import canaries_done, of_canary
from chainrace.gate.process import Command
from chainrace.gate.shell import NodeError
from chainrace.model.actors import KUBELET, KUBELETS

# The lane whose first step is kubelet's own start.
FIRST_LANE = "k"


class Machine(Protocol):
    """What is asked of the machine: systemd's part (gate/systemd.py)."""

    def jobs(self) -> dict[str, str]: ...

    def held_back_by(self, unit: str) -> list[str]: ...

    def is_behind(self, unit: str) -> bool: ...

    def subject_pid(self) -> int: ...

    def subject_state(self) -> str: ...

    @property
    def subject_unit(self) -> str: ...


def lane_of(command: Command) -> str:
    """The lane of one of kubelet's processes."""
    return "x" if command.family == "ipv6" else "k"


class Kubelet:
    """What is known of kubelet. `commands` is the loop's own list, which grows."""

    def __init__(
        self,
        machine: Machine,
        journal: Journal,
        commands: list[Command],
        *,
        takes_part: bool = True,
    ) -> None:
        """One that takes no part has done from the beginning."""
        self.takes_part = takes_part
        self._machine = machine
        self.journal = journal
        self._commands = commands
        self.begun = False
        self.stopped = False  # by the script; it may start it again
        self.restarts = 0
        self.pid: int | None = None
        self.replaced_at = 0.0  # when the kubelet before this one ended
        self._before = 0  # commands let go before this kubelet's start

    def start(self, *, jobs: bool) -> Command:
        """Its first step. What systemd would make it wait for now is part of what it is.

        `jobs`: systemd may have some.
        """
        behind = self._machine.held_back_by(self._machine.subject_unit) if jobs else []
        return Command(0, KUBELET, KUBELET, begins(behind), time.monotonic())

    def done(self, lane: str) -> bool:
        """Whether a lane has made its last step, as far as no process of it waits."""
        if not self.takes_part:
            return True
        if not self.begun:
            return False
        if self.stopped:
            return True
        family = KUBELETS[lane]
        if self.journal.words.get(family) == "initialised":
            return canaries_done(self.since_start(), family)
        return family in self.journal.words or self.journal.beyond

    def since_start(self) -> list[Command]:
        """What was let go since the kubelet that runs now was started."""
        return self._commands[self._before :]

    def first_family(self, held: Iterable[Command]) -> str | None:
        """The family that kubelet initialises first: random at each start (a Go map).

        `held` are the processes that wait at the gate: the first one of a family tells, too. None
        before that is known, and where kubelet has dropped a family, which is no choice.
        """
        mine = [one for one in (*self.since_start(), *held) if one.actor == KUBELET]
        begun = next((one.family for one in mine if "-N" in one.arguments), None)
        dropped = {one.family for one in mine if "-S" in one.arguments and one.code}
        return None if dropped else begun

    def ended(self, pid: int, code: int) -> str:
        """Take in the end of a process; what is wrong with it, empty where nothing is."""
        if pid != self.pid or self.pid is None:
            return ""
        if self.is_replaced():
            # The script restarts it: what follows is another kubelet's.
            self._forget(pid)
            self.restarts += 1
            return ""
        if self._machine.subject_state() == "failed":
            return f"kubelet ended with {code} in the middle"
        self._forget(pid)
        self.stopped = True
        return ""

    def is_replaced(self) -> bool:
        """Whether kubelet is being restarted, or has been: its end may be heard of late."""
        job = self._machine.jobs().get(self._machine.subject_unit)
        return job is not None or self._machine.subject_pid() not in (0, self.pid)

    def _forget(self, pid: int) -> None:
        last = self._commands[-1].started if self._commands else 0.0
        self.pid = None
        self.replaced_at = last
        self._before = len(self._commands)
        self.journal.forget(pid)

    def missing(self, held: Iterable[Command], *, others_wait: Callable[[], bool]) -> str:
        """What kubelet still does by itself, in words; empty where it waits or has done.

        `others_wait`: whether another actor can step.
        """
        if not self.begun:
            return ""
        if self.pid is None and (why := self._find(others_wait=others_wait)) is not None:
            return why
        mine = [one for one in held if one.actor == KUBELET]
        first = next((one for one in mine if not of_canary(one)), None)
        if first is None and not self.journal.beyond:
            return "kubelet is on its way to its next step"
        return self._word_missing(first) or self._canary_missing(mine)

    def _find(self, *, others_wait: Callable[[], bool]) -> str | None:
        """Look for kubelet's process: None when it is there."""
        pid = self._machine.subject_pid()
        if pid:
            if self.stopped:
                self.stopped = False
                self.restarts += 1
            self.pid = pid
            return None
        if self.stopped:
            return "" if not self._machine.jobs().get(self._machine.subject_unit) else "a job of it"
        if self._machine.is_behind(self._machine.subject_unit):
            # The script's unit or the service: not before that has gone on.
            return "" if others_wait() else "kubelet's start waits for a unit"
        if self._machine.subject_state() == "failed":
            raise NodeError("kubelet ended before its first step")
        return "kubelet has not been started yet"

    def _word_missing(self, first: Command | None) -> str:
        begun = {
            one.family
            for one in self.since_start()
            if one.actor == KUBELET and not of_canary(one) and "-N" in one.arguments
        }
        for family in begun - set(self.journal.words):
            # It says its word on one family before it goes on to the next.
            if first is not None and first.family != family:
                return f"kubelet has not said its word on {family}"
        return ""

    def _canary_missing(self, held: Sequence[Command]) -> str:
        for family, word in self.journal.words.items():
            if (
                word == "initialised"
                and not canaries_done(self.since_start(), family)
                and not any(of_canary(one) and one.family == family for one in held)
            ):
                return f"kubelet is on its way to its next {family} canary"
        return ""
