"""What a command may touch, by name, and footprints made of it."""

from collections.abc import Iterable
from dataclasses import dataclass

from chainrace.model.rules import FAMILIES
from chainrace.search.command import TABLES

# Parts of a table that can be touched by themselves (iptables(8)): which user chains
# there are, the rules in all chains, the policies, the counters. Counters are no part
# of a state: a save reads them, and what comes back differs by them alone.
CHAINS, RULES, POLICY, COUNTERS = "chains", "rules", "policy", "counters"
PARTS = (CHAINS, RULES, POLICY, COUNTERS)


@dataclass(frozen=True)
class Footprint:
    """Resources by name: `ipv4/filter/rules` is a part of a table.

    `life/k` and `life/x` are what can be seen of kubelet itself, its unit, process and log, per
    lane; `units` are systemd's; `lock` is that of xtables; `sets` are ipset's; `nft` are tables
    that are none of iptables'; `sysctl` and `files` are each one.
    """

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


def parts(family: str, tables: Iterable[str], some: Iterable[str]) -> frozenset[str]:
    """These parts of these tables."""
    each = tuple(some)
    return frozenset(f"{family}/{table}/{part}" for table in tables for part in each)


ALL_PARTS = frozenset().union(*(parts(family, TABLES, PARTS) for family in FAMILIES))
ALL_RULES = frozenset().union(*(parts(family, TABLES, (RULES,)) for family in FAMILIES))
OF_NFT = ALL_PARTS | {"nft", "sets"}
EVERYTHING = Footprint(
    writes=OF_NFT | {"life/k", "life/x", "units", "sysctl", "files", "lock"},
)
# All that nft can do.
NFT_ALL = Footprint(reads=OF_NFT | {"files"}, writes=OF_NFT)


def reads(*names: str) -> Footprint:
    """A footprint that only reads."""
    return Footprint(reads=frozenset(names))


def writes(*names: str) -> Footprint:
    """A footprint that reads and writes these."""
    return Footprint(frozenset(names), frozenset(names))
