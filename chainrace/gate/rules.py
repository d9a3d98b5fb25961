"""The node's rules as text: read in the backend in use, made comparable."""

import re

from chainrace.gate.shell import run

SAVE = {"ipv4": "iptables-save", "ipv6": "ip6tables-save"}
RESTORE = {"ipv4": "iptables-restore", "ipv6": "ip6tables-restore"}
SAVED_FILE = {
    "ipv4": "/etc/systemd/scripts/ip4save",
    "ipv6": "/etc/systemd/scripts/ip6save",
}
# [0:0] -A INPUT -j DROP
COUNTERS = re.compile(r"^\[\d+:\d+\] ")


def read() -> dict[str, str]:
    """The rules of both families, in the backend that `iptables` means here.

    IPv4 before IPv6, always: reading may load modules, and the order is part of
    what a trial is.
    """
    return {family: run([program]) for family, program in SAVE.items()}


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
