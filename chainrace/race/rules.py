"""A rule set as iptables-save prints it, taken apart so that two can be compared."""

from dataclasses import dataclass

FAMILIES = ("ipv4", "ipv6")


@dataclass(frozen=True)
class RuleSet:
    """One family's rules: `entries` are user chains and rules, each with its table.

    An entry reads `mangle :KUBE-IPTABLES-HINT` or `filter -A INPUT -j KUBE-FIREWALL`.
    Counters and comments are left out, and so are built-in chains: they cannot be
    lost, and reading alone may make them appear.
    """

    entries: frozenset[str]

    def missing_from(self, other: "RuleSet") -> tuple[str, ...]:
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
