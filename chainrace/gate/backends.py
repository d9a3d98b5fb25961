"""The two backends of iptables: which is in use, what tables each has, both emptied.

Nothing here makes a table by looking at it, as the legacy backend's own programs do.
"""

from __future__ import annotations

import subprocess

from chainrace.gate import nftables
from chainrace.gate.shell import NodeError, run
from chainrace.model.backends import LEGACY, NFT, PROGRAM, SAYS, Backend

# The kernel's own list. Source: net/ipv4/netfilter/ip_tables.c of Linux.
LEGACY_NAMES = {"ipv4": "/proc/net/ip_tables_names", "ipv6": "/proc/net/ip6_tables_names"}
LEGACY_MODULE = {"ipv4": "iptable", "ipv6": "ip6table"}
CHAINS = {
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "raw": ("PREROUTING", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}


def in_use() -> Backend:
    """The backend that `iptables` means on this node. Raises NodeError for neither."""
    said = run(["iptables", "--version"])
    for backend, word in SAYS.items():
        if word in said:
            return backend
    raise NodeError(f"iptables does not say which backend it is: {said.strip()}")


def legacy_tables(family: str) -> list[str]:
    """The tables that the legacy backend has."""
    try:
        with open(LEGACY_NAMES[family], encoding="ascii") as file:
            return sorted(file.read().split())
    except FileNotFoundError:
        return []  # the module is not loaded


def tables() -> dict[str, dict[str, list[str]]]:
    """The tables there are, by family and backend; nft's include those that are not iptables'."""
    return {
        family: {NFT: nftables.tables(family), LEGACY: legacy_tables(family)} for family in PROGRAM
    }


def empty() -> None:
    """No rules and no tables in either backend. Raises NodeError."""
    run(["nft", "flush", "ruleset"])
    for family, program in PROGRAM.items():
        for table in legacy_tables(family):
            opened = [f":{chain} ACCEPT [0:0]" for chain in CHAINS[table]]
            text = "\n".join((f"*{table}", *opened, "COMMIT", ""))
            run([f"{program}-legacy-restore"], text)
            # The table goes with its module, which no rule uses now. A kernel that has it
            # built in keeps the table, empty.
            subprocess.run(
                ["rmmod", f"{LEGACY_MODULE[family]}_{table}"],
                stderr=subprocess.DEVNULL,
                check=False,
            )
