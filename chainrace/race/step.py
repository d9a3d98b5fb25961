"""What one command reads and writes: two that touch nothing in common may be swapped.

A footprint errs on the side of too much: a conflict that is not there costs time,
one that is overlooked would lose an end state. Both backends count as one.
"""

from dataclasses import dataclass

from chainrace.race.rules import FAMILIES
from chainrace.race.trial import Call

TABLES = ("filter", "nat", "mangle", "raw", "security")
# Parts of a table that can be touched by themselves (iptables(8)): which user chains
# there are, the rules in all chains, the policies, the counters. Counters are no part
# of a state: a save reads them, and what comes back differs by them alone.
CHAINS, RULES, POLICY, COUNTERS = "chains", "rules", "policy", "counters"
PARTS = (CHAINS, RULES, POLICY, COUNTERS)

ASKING = frozenset({"-V", "--version", "-h", "--help"})
LISTING = frozenset({"-S", "--list-rules", "-L", "--list"})


@dataclass(frozen=True)
class Footprint:
    """Resources by name: `ipv4/filter/rules`."""

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()

    def __or__(self, other: "Footprint") -> "Footprint":
        return Footprint(self.reads | other.reads, self.writes | other.writes)

    def __le__(self, other: "Footprint") -> bool:
        """Whether the other covers all of this one."""
        return self.reads <= other.reads | other.writes and self.writes <= other.writes

    def conflicts(self, other: "Footprint") -> bool:
        """Whether the order of the two can matter: one writes what the other touches."""
        return bool(
            self.writes & (other.reads | other.writes) or other.writes & (self.reads | self.writes)
        )


# What each action of iptables reads and writes of its one table. Making a chain
# commutes with emptying all chains; deleting one does not (a jump to it forbids it).
ACTIONS = {
    ("-N", "--new-chain"): ((), (CHAINS,)),
    ("-X", "--delete-chain"): ((RULES,), (CHAINS,)),
    ("-F", "--flush"): ((CHAINS,), (RULES,)),
    ("-A", "--append", "-I", "--insert", "-D", "--delete", "-R", "--replace"): (
        (CHAINS,),
        (RULES,),
    ),
    ("-C", "--check"): ((CHAINS, RULES), ()),
    tuple(LISTING): (PARTS, ()),
    ("-P", "--policy"): ((), (POLICY,)),
    ("-Z", "--zero"): ((CHAINS,), (COUNTERS,)),
}
# Without a chain's name these ask for none: they do the same whatever chains there are.
BARE = frozenset({"-F", "--flush", "-Z", "--zero"})

EVERYTHING = Footprint(
    writes=frozenset(
        f"{family}/{table}/{part}" for family in FAMILIES for table in TABLES for part in PARTS
    )
)


def footprint(call: Call) -> Footprint:
    """What an iptables process may read and write, from its program and arguments."""
    words = frozenset(call.arguments)
    if words & ASKING:
        return Footprint()
    if call.program.endswith("-save"):
        return Footprint(reads=_parts(call.family, _tables(call), PARTS))
    if call.program.endswith("-restore"):
        return Footprint(writes=_parts(call.family, _tables(call), PARTS))
    if not call.program.startswith(("iptables", "ip6tables")):
        return EVERYTHING  # nft may touch any table of any family
    for options, (reads, writes) in ACTIONS.items():
        if found := words & set(options):
            bare = found & BARE and call.arguments[-1] in found
            table = (call.table,)
            return Footprint(
                _parts(call.family, table, () if bare else reads),
                _parts(call.family, table, writes),
            )
    return Footprint(writes=_parts(call.family, TABLES, PARTS))


def touches(made: Footprint, family: str) -> bool:
    """Whether a footprint has anything of a family."""
    return any(name.startswith(f"{family}/") for name in made.reads | made.writes)


# What names a rule, whose matches may name what lies elsewhere: a set, a user.
OF_A_RULE = frozenset(
    {"-A", "--append", "-I", "--insert", "-D", "--delete", "-R", "--replace", "-C", "--check"}
)
WITHOUT_RULE = frozenset(word for words in ACTIONS for word in words) - OF_A_RULE


def tables_alone(call: Call) -> bool:
    """Whether what a command does depends on nothing but the tables that it touches.

    A restore reads a file.
    """
    if not call.program.startswith(("iptables", "ip6tables")):
        return False
    if call.program.endswith("-save") or frozenset(call.arguments) & ASKING:
        return True
    return not call.program.endswith("-restore") and bool(frozenset(call.arguments) & WITHOUT_RULE)


def tables(made: Footprint) -> frozenset[str]:
    """The tables of a footprint: `ipv4/filter`."""
    return frozenset(name.rpartition("/")[0] for name in made.reads | made.writes)


def reads_rules(call: Call) -> bool:
    """Whether what the command prints depends on the rules: its caller may act on it."""
    return bool(footprint(call).reads) and not footprint(call).writes


def _tables(call: Call) -> tuple[str, ...]:
    """The tables of a save or restore: one where it is named, else all of them."""
    named = {"-t", "--table"} & frozenset(call.arguments)
    return (call.table,) if named else TABLES


def _parts(family: str, tables: tuple[str, ...], parts: tuple[str, ...]) -> frozenset[str]:
    return frozenset(f"{family}/{table}/{part}" for table in tables for part in parts)
