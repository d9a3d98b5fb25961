"""A rule set as iptables-save prints it, taken apart so that two can be compared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

FAMILIES = ("ipv4", "ipv6")
# [0:0] -A INPUT -j DROP
COUNTERS = re.compile(r"^\[\d+:\d+\] ")


@dataclass(frozen=True)
class RuleSet:
    """One family's rules: `entries` are user chains and rules, each with its table.

    An entry reads `mangle :KUBE-IPTABLES-HINT` or `filter -A INPUT -j KUBE-FIREWALL`.
    Counters and comments are left out, and so are built-in chains: they cannot be
    lost, and reading alone may make them appear.
    """

    entries: frozenset[str]

    def missing_from(self, other: RuleSet) -> tuple[str, ...]:
        """What this rule set has and the other lacks, sorted."""
        return tuple(sorted(self.entries - other.entries))


def sections(text: str) -> dict[str, str]:
    """What iptables-save printed, by table. Raises ValueError for what is no such text.

    Comments outside a table are left out.
    """
    found: dict[str, str] = {}
    table = ""
    for line in text.splitlines(keepends=True):
        if line.startswith("*"):  # *filter
            table = line[1:].strip()
            found[table] = ""
        elif not table and line.strip() and not line.startswith("#"):
            raise ValueError(f"not an iptables-save text: {line!r} stands outside a table")
        if table:
            found[table] += line
        if line.strip() == "COMMIT":
            table = ""
    return found


# Each guarantee of a subject asks for the same texts.
@lru_cache(maxsize=64)
def parse(text: str) -> RuleSet:
    """Read what iptables-save printed. Raises ValueError for what is no such text.

    Source of the format: iptables/iptables-save.c (`:CHAIN POLICY [packets:bytes]`,
    where a user chain's policy is `-`).
    """
    entries = set()
    for table, lines in sections(text).items():
        for line in (raw.strip() for raw in lines.splitlines()[1:]):
            if not line or line.startswith("#") or line == "COMMIT":
                continue
            if line.startswith(":"):  # :KUBE-FIREWALL - [0:0]
                chain, policy, *_ = line[1:].split()
                if policy == "-":
                    entries.add(f"{table} :{chain}")
            elif line.startswith("-A "):  # -A INPUT -j KUBE-FIREWALL
                entries.add(f"{table} {line}")
            else:
                raise ValueError(f"not a line of iptables-save: {line!r}")
    return RuleSet(frozenset(entries))


def in_chains(text: str) -> dict[str, list[str]]:
    """The rules of each chain in their order, as entries; a chain by its table: `filter INPUT`.

    `text` is what iptables-save printed.
    """
    found: dict[str, list[str]] = {}
    for table, lines in sections(text).items():
        for line in (raw.strip() for raw in lines.splitlines()):
            if line.startswith("-A "):  # -A INPUT -j KUBE-FIREWALL
                found.setdefault(f"{table} {line.split()[1]}", []).append(f"{table} {line}")
    return found


def plain(text: str) -> list[str]:
    """An iptables-save text without comments and counters, to compare two of them.

    The order of rules is kept, it decides what they do. Tables are sorted, and so are the
    lines that declare chains: their order means nothing, and iptables-save's varies.
    """
    tables: dict[str, tuple[list[str], list[str]]] = {}  # what declares chains; all other lines
    table = ""  # what stands outside of tables comes first
    for raw in text.splitlines():
        line = COUNTERS.sub("", raw)
        if not line or line.startswith("#"):
            continue
        if line.startswith("*"):  # *filter
            table = line
        chains, rest = tables.setdefault(table, ([], []))
        if line.startswith(":"):
            chains.append(line.split(" [")[0])  # :INPUT ACCEPT [0:0]
        elif line != table:
            rest.append(line)
        if line == "COMMIT":
            table = ""
    found = []
    for name in sorted(tables):
        chains, rest = tables[name]
        found += [name] if name else []
        found += [*sorted(chains), *rest]
    return found
