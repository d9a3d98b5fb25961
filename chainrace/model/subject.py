"""A subject: a program that sets firewall rules and trusts that they stay."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Subject:
    """A systemd unit on the node, by its name; `text` is the unit file that is brought there.

    `done` and `check` are commands for the node's /bin/sh. With `done` it has done where that ends
    with 0, too; an end is harm where `check` does not end with 0 and does after a clean start.
    `packages` are Debian's, which the lab's own image has for it.
    `by_family`: its work on each family is a lane of its own, and it looks at exit codes alone.
    """

    name: str
    unit: str
    done: str = ""
    check: str = ""
    text: bytes = b""
    by_family: bool = False
    packages: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """By what a command may mean it: the names of unit and subject."""
        return self.name, self.unit.partition(".")[0].partition("@")[0]

    def armed(self) -> dict[str, str] | None:
        """What the gate must know of it; None of one that the gate knows by itself."""
        if self.by_family:
            return None
        return {"unit": self.unit, "done": self.done, "check": self.check}
