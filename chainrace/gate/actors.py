"""All whose order is chosen: kubelet or another subject, and the script or another unit."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

from chainrace.gate.actor import Actor, Held
from chainrace.gate.kubelet.actor import Kubelet
from chainrace.gate.kubelet.journal import Journal
from chainrace.gate.process import SCRIPT_UNIT, Command
from chainrace.gate.program import Program, program_of
from chainrace.gate.script import Script
from chainrace.gate.shell import NodeError
from chainrace.gate.systemd import Systemd
from chainrace.gate.whose import Owners
from chainrace.model.actors import SCRIPT_ACTOR, SUBJECT_ACTOR
from chainrace.model.protocol import Unit


@dataclass(frozen=True)
class Actors:
    """`subject` is a unit in kubelet's place; `other` the script, or a unit in its place."""

    owners: Owners
    kubelet: Kubelet
    subject: Program | None
    other: Script | Program

    def judged(self, *, other: bool) -> Program | None:
        """The unit that an end is judged by, the other's or the subject's; None for kubelet.

        Raises NodeError where a script would be judged.
        """
        if not other:
            return self.subject
        if isinstance(self.other, Script):
            raise NodeError("a script promises nothing: an end cannot be judged by it")
        return self.other

    @cached_property
    def by_letter(self) -> dict[str, Actor]:
        """Those with one history each: all but kubelet."""
        found: dict[str, Actor] = {SCRIPT_ACTOR: self.other}
        if self.subject is not None:
            found[SUBJECT_ACTOR] = self.subject
        return found


def actors_of(
    machine: Systemd,
    journal: Journal,
    commands: list[Command],
    held: dict[int, Held],
    *,
    script: str,
    subject: Unit | None,
    other: Unit | None,
    others_wait: Callable[[str], bool],
) -> Actors:
    """Those of one start. `script` is a file, empty for none; a unit is as the lab asks for it.

    `commands` and `held` are the loop's own; `others_wait` says of a letter whether another actor
    than that can step.
    """
    units = {SUBJECT_ACTOR: subject, SCRIPT_ACTOR: other}
    main_units = {one["unit"]: letter for letter, one in units.items() if one}
    owners = Owners(
        "" if subject else machine.subject_unit,
        {SCRIPT_UNIT: SCRIPT_ACTOR, **main_units},
        machine.unit_of,
        machine.busy,
        {os.getpid()},
    )
    others = frozenset({SCRIPT_UNIT, machine.subject_unit, *main_units})

    def of_unit(about: Unit, letter: str) -> Program:
        return program_of(
            about,
            letter,
            owners,
            held,
            machine,
            others=others,
            others_wait=partial(others_wait, letter),
        )

    return Actors(
        owners,
        Kubelet(machine, journal, commands, takes_part=subject is None),
        of_unit(subject, SUBJECT_ACTOR) if subject else None,
        of_unit(other, SCRIPT_ACTOR)
        if other
        else Script(
            owners,
            held,
            path=script,
            run=machine.begin_script,
            new_units=machine.new_units,
            jobs=machine.jobs,
            others=others,
        ),
    )
