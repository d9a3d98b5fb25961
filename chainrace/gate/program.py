"""A unit of systemd's as an actor: a subject, or the other program that it is raced with.

Each program that it executes is a step, as with a script. A daemon never ends: it has done
when systemd says that its start is over, none of its processes is held, and the user's own
command, where there is one, says so too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from chainrace.gate.actor import Actor, Held, begins
from chainrace.gate.process import Command
from chainrace.gate.rest import Look
from chainrace.gate.shell import run_command
from chainrace.gate.whose import Owners, Process
from chainrace.model.actors import SUBJECT, SUBJECT_ACTOR
from chainrace.model.protocol import Unit

# systemd's words for a unit that goes on (systemd(1), unit states).
ON_ITS_WAY = ("activating", "deactivating", "reloading")


class Machine(Protocol):
    """What is asked of the machine: systemd's part (gate/systemd.py)."""

    def begin_unit(self, entropy: str, unit: str) -> None: ...

    def jobs(self) -> dict[str, str]: ...

    def held_back_by(self, unit: str) -> list[str]: ...

    def is_behind(self, unit: str) -> bool: ...

    def new_units(self) -> list[str]: ...

    def unit_state(self, unit: str) -> str: ...

    def invocation(self, unit: str) -> str: ...


@dataclass
class Program(Actor):
    """`restarts` counts how often it was started anew; `check` is the user's on an end."""

    machine: Machine = field(kw_only=True)
    done_command: str = ""
    check: str = ""
    others_wait: Callable[[], bool] = bool
    restarts: int = 0
    _invocation: str = ""

    def start(self) -> Command:
        """Its first step. What systemd would make it wait for now is part of what it is."""
        made = super().start()
        made.arguments = begins(self.machine.held_back_by(self.main_unit))
        return made

    def begin(self, entropy: str) -> None:
        """Have systemd start the unit."""
        self.machine.begin_unit(entropy, self.main_unit)

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
        """Whether systemd said that its start failed, when that was over."""
        return bool(self.code)

    def start_goes_on(self) -> str:
        """Why its start is not over, in words; empty where it is, whatever its processes do."""
        return self._over()

    def _waits_for_nobody(self, look: Look, mine: Mapping[int, Process]) -> str:
        if self.held.keys() & mine.keys():
            return super()._waits_for_nobody(look, mine)
        return self._over()

    def _over(self) -> str:
        if self.main_unit in self.jobs():
            # Behind a unit of the script's it is not started before that has gone on. Without a
            # job that it is behind, systemd is about to start it.
            waits = self.machine.is_behind(self.main_unit) and self.others_wait()
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
        self.code = int(state == "failed")
        return ""


def program_of(
    about: Unit,
    letter: str,
    owners: Owners,
    held: dict[int, Held],
    machine: Machine,
    *,
    others: frozenset[str],
    others_wait: Callable[[], bool],
) -> Program:
    """The unit that a request of the lab's is about, with the user's commands and its programs.

    `others` are the main units of all actors; `others_wait` says whether one of them waits.
    """
    return Program(
        owners,
        held,
        about["unit"],
        letter,
        SUBJECT if letter == SUBJECT_ACTOR else about["name"],
        new_units=machine.new_units,
        jobs=machine.jobs,
        others=others,
        machine=machine,
        done_command=about["done"],
        check=about["check"],
        understood=frozenset(about["programs"]),
        # Only the user's command can say when one that sleeps has done. The kernel keeps fifteen
        # letters of a name (TASK_COMM_LEN).
        by_turns=frozenset(name[:15] for name in about["programs"] if about["done"]),
        others_wait=others_wait,
    )
