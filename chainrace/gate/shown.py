"""What can be seen of a start that is under the gate, as plain data for JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chainrace.gate import guard
from chainrace.gate.actor import Actor
from chainrace.gate.kubelet.actor import Kubelet
from chainrace.gate.kubelet.journal import Journal
from chainrace.gate.process import Command
from chainrace.gate.program import Program
from chainrace.gate.programs import meanings
from chainrace.gate.proof import Proof
from chainrace.gate.shell import run_command
from chainrace.gate.world import World
from chainrace.model.rules import FAMILIES


@dataclass
class Shown:
    """Both actors and the node.

    `program` is a subject in kubelet's place, `other` the script or what stands in its place;
    `judged` is that of the two units whose start an end is judged by, None for kubelet's.
    """

    journal: Journal
    kubelet: Kubelet
    program: Program | None
    other: Actor
    proof: Proof
    world: World
    judged: Program | None

    def actors(self, held: Iterable[Command]) -> dict[str, Any]:
        """Where the subject and the other are; `held` waits at the gate."""
        return {
            "first_family": self.kubelet.first_family(held),
            "restarts": self.program.restarts if self.program else self.kubelet.restarts,
            "stopped": self.kubelet.stopped,
            "words": self._words(),
            "script_code": self.other.code,
        }

    def rules(self) -> dict[str, Any]:
        """All firewall state, who holds iptables' lock, what its programs' names mean."""
        return {
            "rules": self.world.parts(self.proof.take_changed()),
            "lock": self.proof.lock(),
            "programs": meanings(),
        }

    def evidence(self, rules: dict[str, str]) -> dict[str, Any]:
        """What an end is judged by besides its rules."""
        return {
            "journal": self.journal.lines,
            "guard": self._reached(rules),
            "check": self._checked(),
        }

    def after_all(self, rules: dict[str, str]) -> dict[str, Any]:
        """The same with what became of the subject's start, which may have been made again.

        A start that is still being made has repaired nothing yet.
        """
        goes_on = self.judged is not None and self.judged.start_goes_on()
        words = dict.fromkeys(FAMILIES, "failed") if goes_on else self._words()
        return {"words": words, **self.evidence(rules)}

    def _checked(self) -> int:
        """What the user's own check ends with, beside a neighbour that it may ask as."""
        if self.judged is None or not self.judged.check:
            return 0
        with guard.neighbour():
            return run_command(self.judged.check)

    def _words(self) -> dict[str, str]:
        """Whether the judged start came to its end, by family: `initialised` or `failed`."""
        if self.judged is None:
            return self.journal.words
        if not self.judged.ended:
            return {}
        word = "failed" if self.judged.failed() else "initialised"
        return dict.fromkeys(FAMILIES, word)

    def _reached(self, rules: dict[str, str]) -> list[int]:
        """The ports of 127.0.0.1 that a neighbour reaches: what kubelet's guard is for."""
        return guard.reached(guard.ports_of(rules["ipv4"])) if self.judged is None else []
