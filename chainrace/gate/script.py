"""The script as an actor: in a unit of its own, which nothing that it started outlives unseen."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from chainrace.gate.actor import Actor
from chainrace.gate.door import interpreter_of
from chainrace.gate.process import SCRIPT_UNIT, Command, kind_of
from chainrace.model.actors import SCRIPT, SCRIPT_ACTOR


@dataclass
class Script(Actor):
    """`path` is the script's file on the node; without one it takes no part."""

    main_unit: str = SCRIPT_UNIT
    letter: str = SCRIPT_ACTOR
    name: str = SCRIPT
    path: str = ""
    run: Callable[[str], None] = field(kw_only=True)

    def __post_init__(self) -> None:
        self.takes_part = bool(self.path)

    def start(self) -> Command:
        """Its shell: what interprets it says what kind of step it is."""
        command = super().start()
        with open(self.path, "rb") as file:
            command.kind = kind_of(os.path.realpath(self.path), interpreter_of(file.fileno()))
        return command

    def begin(self, entropy: str) -> None:
        """Start its unit. Raises NodeError for what cannot be executed."""
        del entropy
        self.run(self.path)
