"""A subject that is not kubelet, under the gate: a systemd unit, with all that follows from it.

Each program that it executes is a step, as with the script. A daemon never ends: it has done
when systemd says that its start is over, none of its processes is held, and the user's own
command, where there is one, says so too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from chainrace.gate.rest import Look
from chainrace.gate.script import Held, ScriptActor
from chainrace.gate.shell import run_command
from chainrace.gate.whose import Owners, Process
from chainrace.model.actors import SUBJECT_ACTOR

# systemd's words for a unit that goes on (systemd(1), unit states).
ON_ITS_WAY = ("activating", "deactivating", "reloading")


class Machine(Protocol):
    """What is asked of the machine: systemd's part (gate/systemd.py)."""

    @property
    def subject_unit(self) -> str: ...

    @property
    def script_unit(self) -> str: ...

    def jobs(self) -> dict[str, str]: ...

    def new_units(self) -> list[str]: ...

    def unit_state(self, unit: str) -> str: ...

    def invocation(self, unit: str) -> str: ...


@dataclass
class Program(ScriptActor):
    """`main_unit` is the subject's. `restarts` counts how often it was started anew."""

    machine: Machine | None = None
    done_command: str = ""
    others_wait: Callable[[], bool] = bool
    restarts: int = 0
    name: str = "subject"
    _invocation: str = ""

    def is_there(self) -> bool:
        """Systemd is asked, not a process: a unit may have ended at once."""
        return True

    def missing(self) -> str:
        """What of it still goes on by itself, in words; empty where it is settled.

        Whether it has done is asked anew each time: it may have been started again.
        """
        self.ended = False
        return super().missing()

    def failed(self) -> bool:
        """Whether systemd says that it failed."""
        assert self.machine is not None  # noqa: S101 - for the type
        return self.machine.unit_state(self.main_unit) == "failed"

    def _waits_for_nobody(self, look: Look, mine: Mapping[int, Process]) -> str:
        if self.held.keys() & mine.keys():
            return super()._waits_for_nobody(look, mine)
        return self._over()

    def _over(self) -> str:
        assert self.machine is not None  # noqa: S101 - for the type
        job = self.jobs().get(self.main_unit)
        if job is not None:
            # Behind a unit of the script's it is not started before that has gone on.
            waits = job == "waiting" and self.others_wait()
            return "" if waits else f"systemd has a job for {self.main_unit}"
        state = self.machine.unit_state(self.main_unit)
        if state in ON_ITS_WAY:
            return f"{self.main_unit} is {state}"
        if state == "active" and self.done_command and run_command(self.done_command):
            return f"{self.main_unit} has not done, as `{self.done_command}` says"
        now = self.machine.invocation(self.main_unit)
        if now and now != self._invocation:
            self.restarts += bool(self._invocation)
            self._invocation = now
        self.ended = True
        return ""


def program_of(
    about: Mapping[str, str],
    owners: Owners,
    held: dict[int, Held],
    machine: Machine,
    *,
    others_wait: Callable[[], bool],
) -> Program:
    """The subject that a request of the lab's is about: its `unit`, its `done`."""
    return Program(
        owners,
        held,
        about["unit"],
        SUBJECT_ACTOR,
        new_units=machine.new_units,
        jobs=machine.jobs,
        others=frozenset({machine.subject_unit, machine.script_unit}),
        machine=machine,
        done_command=about["done"],
        others_wait=others_wait,
    )
