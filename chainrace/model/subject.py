"""A subject: a program that sets firewall rules and trusts that they stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Subject:
    """A systemd unit on the node, by its name; `text` is the unit file that is brought there.

    `prepare`, `done` and `check` are commands for the node's /bin/sh. `prepare` is run once, before
    all. With `done` it has done where that ends
    with 0, too; an end is harm where `check` does not end with 0 and does after a clean start.
    `programs` are its own that go by the answers they get alone, and change rules through other
    programs alone. `packages` are Debian's, which the lab's own image has for it.
    `by_family`: its work on each family is a lane of its own, and it looks at exit codes alone.
    """

    name: str
    unit: str
    done: str = ""
    check: str = ""
    text: bytes = b""
    by_family: bool = False
    packages: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    prepare: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """By what a command may mean it: the names of unit and subject."""
        return self.name, self.unit.partition(".")[0].partition("@")[0]

    def armed(self) -> dict[str, Any] | None:
        """What the gate must know of it as a subject; None of one that it knows by itself."""
        return None if self.by_family else self.as_unit()

    def as_unit(self) -> dict[str, Any]:
        """What the gate must know of it as a unit like any other."""
        return {
            "name": self.name,
            "unit": self.unit,
            "done": self.done,
            "check": self.check,
            "programs": list(self.programs),
        }
