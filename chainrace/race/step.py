"""What one command reads and writes: two that touch nothing in common may be swapped.

A footprint errs on the side of too much: a conflict that is not there costs time,
one that is overlooked would lose an end state.
"""

from dataclasses import dataclass

from chainrace.race.rules import FAMILIES
from chainrace.race.trial import Command

TABLES = ("filter", "nat", "mangle", "raw", "security")
# Parts of a table that can be touched by themselves: no rule asks for another's
# counter, and no chain's making depends on a policy (iptables(8): -Z, -P).
RULES, POLICY, COUNTERS = "rules", "policy", "counters"
PARTS = (RULES, POLICY, COUNTERS)
READING = frozenset({"-S", "--list-rules", "-L", "--list", "-C", "--check"})
ASKING = frozenset({"-V", "--version", "-h", "--help"})


@dataclass(frozen=True)
class Footprint:
    """Resources by name: `ipv4/filter/rules`, `saved/ipv4`."""

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()

    def __or__(self, other: "Footprint") -> "Footprint":
        return Footprint(self.reads | other.reads, self.writes | other.writes)

    def conflicts(self, other: "Footprint") -> bool:
        """Whether the order of the two can matter: one writes what the other touches."""
        return bool(
            self.writes & (other.reads | other.writes) or other.writes & (self.reads | self.writes)
        )


def footprint(command: Command) -> Footprint:
    """What an iptables process may read and write, from its program and arguments."""
    words = frozenset(command.arguments)
    if words & ASKING:
        return Footprint()
    if command.program.startswith("nft"):
        return _everything()
    if command.program.endswith(("-save", "-restore")):
        return _whole(command)
    return _one_table(f"{command.family}/{command.table}", words)


def _whole(command: Command) -> Footprint:
    """A save or a restore: all tables of the family, and the saved file."""
    tables = frozenset(
        f"{command.family}/{table}/{part}" for table in _tables(command) for part in PARTS
    )
    saved = frozenset({f"saved/{command.family}"})
    if command.program.endswith("-save"):
        return Footprint(reads=tables, writes=saved)
    return Footprint(reads=saved, writes=tables)


def _one_table(table: str, words: frozenset[str]) -> Footprint:
    if words & READING:
        return Footprint(reads=frozenset(f"{table}/{part}" for part in PARTS))
    if words & {"-P", "--policy"}:
        return Footprint(writes=frozenset({f"{table}/{POLICY}"}))
    if words & {"-Z", "--zero"}:
        return Footprint(writes=frozenset({f"{table}/{COUNTERS}"}))
    return Footprint(writes=frozenset({f"{table}/{RULES}", f"{table}/{COUNTERS}"}))


def _tables(command: Command) -> tuple[str, ...]:
    """The tables of a save or restore: one where it is named, else all of them."""
    return (command.table,) if {"-t", "--table"} & frozenset(command.arguments) else TABLES


def _everything() -> Footprint:
    """Nft may touch any table of any family; so may whatever is not understood."""
    return Footprint(
        writes=frozenset(
            f"{family}/{table}/{part}" for family in FAMILIES for table in TABLES for part in PARTS
        )
    )
