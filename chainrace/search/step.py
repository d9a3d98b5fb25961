"""What one command reads and writes: two that touch nothing in common may be swapped.

A footprint errs on the side of too much: a conflict that is not there costs time,
one that is overlooked would lose an end state. Both backends count as one. What a
command starts is no part of it: that is a step of its own.
"""

from functools import cache

from chainrace.model.actors import KUBELET, SCRIPT, SUBJECT
from chainrace.model.rules import FAMILIES
from chainrace.model.trial import Call
from chainrace.search import command, programs, resources
from chainrace.search.command import BUILT_IN, Command, called, parse
from chainrace.search.resources import (
    ALL_PARTS,
    CHAINS,
    COUNTERS,
    POLICY,
    RULES,
    parts,
)

TABLES = command.TABLES
PARTS = resources.PARTS
EVERYTHING = resources.EVERYTHING
Footprint = resources.Footprint

# What each action reads and writes of its one table. Making a chain commutes with emptying
# all chains; deleting one does not (a jump to it forbids it).
ACTIONS = {
    "-N": ((CHAINS,), (CHAINS,)),
    "-X": ((CHAINS, RULES), (CHAINS,)),
    "-E": ((CHAINS, RULES), (CHAINS, RULES)),
    "-F": ((), (RULES,)),
    "-A": ((CHAINS, RULES), (RULES,)),
    "-I": ((CHAINS, RULES), (RULES,)),
    "-D": ((CHAINS, RULES), (RULES,)),
    "-R": ((CHAINS, RULES), (RULES,)),
    "-C": ((CHAINS, RULES), ()),
    "-L": ((CHAINS, RULES, POLICY), ()),
    "-S": ((CHAINS, RULES, POLICY), ()),
    "-P": ((POLICY,), (POLICY,)),
    "-Z": ((), (COUNTERS,)),
}
LISTING = frozenset({"-L", "-S"})
# Without a chain's name these ask for none: they do the same whatever chains there are.
BARE = frozenset({"-F", "-Z"})
LIFE = {"ipv4": "life/k", "ipv6": "life/x"}
LIVES = frozenset(LIFE.values())
OF_A_START = frozenset({"units", "files", "sysctl"})
# What another network namespace has in common with this one.
SHARED = frozenset({"files", "lock"})


@cache
def footprint(call: Call) -> Footprint:
    """What a process may read and write, from its program and arguments."""
    if call.beside:
        return EVERYTHING
    made = _footprint(call)
    if call.actor == KUBELET:
        made |= Footprint(writes=frozenset({LIFE[_family(call)]}))
    if call.actor == SUBJECT:
        made |= Footprint(writes=LIVES)
    return made


def _footprint(call: Call) -> Footprint:
    if _begins(call) and call.actor == KUBELET:
        # What could change kubelet's own start touches everything: its unit, files and programs.
        return Footprint(writes=LIVES)
    if call.kind == "daemon" or (_begins(call) and call.actor != SCRIPT):
        # Systemd reads its unit, a daemon its files; what it needs may be told by the kernel.
        makes = () if _begins(call) else ("files", "sysctl")
        return Footprint(OF_A_START, frozenset(makes))
    if call.kind == "shell":  # it does nothing but start others
        return Footprint()
    network = _of_network(call)
    if network is None:
        return programs.footprint(call)
    if call.foreign:
        return Footprint(network.reads & SHARED, network.writes & SHARED)
    return network


def _begins(call: Call) -> bool:
    """Whether it is an actor's start; `docker begins behind iptables.service` is one, too."""
    return call.arguments[:1] == ("begins",) and call.program == call.actor and not call.exe


def _of_network(call: Call) -> Footprint | None:
    """Of a program that touches nothing but its network namespace and files; else None."""
    found = called(call)
    if found is None:
        return programs.of_network(call)
    if not found.name.startswith("ip"):  # ebtables and arptables have tables of their own
        return Footprint(frozenset({"nft", "files"}), frozenset({"nft"}))
    read = parse(call)
    if read is not None:
        return _of_iptables(read)
    # Whatever it does, in another namespace it cannot touch this one's rules.
    return EVERYTHING


def _of_iptables(made: Command) -> Footprint:
    if made.asking:
        return Footprint()
    if made.translates:
        return Footprint(reads=frozenset({"files"}))
    every = parts(made.family, made.tables, PARTS)
    reads: set[str] = set()
    writes: set[str] = set()
    if made.saves:
        reads |= every
        writes |= {"files"} if made.file is not None else set()
    elif made.restores:
        reads |= {"files", "sets"}  # its rules may name sets
        reads |= every if made.dry or made.noflush else set()
        writes |= set() if made.dry else every
    else:
        for action in made.actions:
            one = _of_action(made, action)
            reads |= one.reads
            writes |= one.writes
    if made.backend != command.NFT:
        reads.add("lock")
    return Footprint(frozenset(reads), frozenset(writes))


def _of_action(made: Command, action: str) -> Footprint:
    reads, writes = (set(some) for some in ACTIONS[action])
    if action in BARE and (made.chain or made.verbose):  # it names them, or prints their names
        reads.add(CHAINS)
    if action in BARE and made.number:
        reads.add(RULES)
    if action == "-X" and made.chain in BUILT_IN:  # iptables-nft deletes it where it accepts
        reads.add(POLICY)
    if action == "-P" and made.chain not in BUILT_IN:
        reads.add(CHAINS)
    if made.counters and action not in LISTING:
        writes.add(COUNTERS)
    if action in LISTING and (made.verbose or made.counters):
        reads.add(COUNTERS)
    elsewhere = frozenset() if made.plain_rule else frozenset({"sets", "files"})
    return Footprint(
        parts(made.family, made.tables, reads) | elsewhere,
        parts(made.family, made.tables, writes),
    )


def _family(call: Call) -> str:
    found = called(call)
    name = call.program if found is None else found.name
    return "ipv6" if name.startswith("ip6") else "ipv4"


def touches(made: Footprint, family: str) -> bool:
    """Whether a footprint has anything of a family."""
    return any(name.startswith(f"{family}/") for name in made.reads | made.writes)


def tables(made: Footprint) -> frozenset[str]:
    """The tables of a footprint: `ipv4/filter`."""
    named = (name for name in made.reads | made.writes if name.startswith(FAMILIES))
    return frozenset(name.rpartition("/")[0] for name in named)


def tables_alone(call: Call) -> bool:
    """Whether what a command does and answers depends on nothing but the tables it touches.

    A restore reads a file; a rule may name a set or a host; a list without -n looks up names;
    counters differ from one run to the next. Who holds the lock is no part of this.
    """
    made = parse(call)
    if made is None or call.foreign or call.beside or call.kind == "shell":
        return False
    if made.asking:
        return True
    if made.restores or made.translates or made.file is not None:
        return False
    if made.counters or not made.plain_rule:
        return False
    lists = LISTING & set(made.actions)
    return not (lists and made.verbose) and (made.numeric or "-L" not in lists)


def prints(call: Call) -> bool:
    """Whether what the command prints depends on the rules: its caller may act on it."""
    made = footprint(call)
    if made == EVERYTHING:
        return True
    if not made.reads & ALL_PARTS:
        return False
    read = parse(call)
    if read is None or read.saves or read.verbose:
        return True
    return bool({*LISTING, "-C"} & set(read.actions))


reads_rules = prints


def understood(call: Call) -> bool:
    """Whether more is known of a command than that it may touch everything."""
    return footprint(call) != EVERYTHING
