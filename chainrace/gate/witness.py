"""Who changed firewall rules, and what a shell looked at by itself: the kernel's own record.

Records of type NETFILTER_CFG name each change, whoever makes it: __audit_log_nfcfg in
kernel/auditsc.c of Linux, nf_tables_commit_audit_log in net/netfilter/nf_tables_api.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from chainrace.gate.audit import AUDIT_NETFILTER_CFG, Audit, untrusted
from chainrace.gate.looks import CALLS, KINDS, Look, looks_of
from chainrace.gate.shell import NodeError

# NFPROTO_* of linux/netfilter.h
FAMILY = {1: "inet", 2: "ipv4", 3: "arp", 5: "netdev", 7: "bridge", 10: "ipv6"}
# A table's name stands there as it is, spaces and all; a program's does not.
# table=filter:2 family=2 entries=2 op=nft_register_chain pid=71 subj=kernel comm="iptables-nft"
RECORD = re.compile(
    r"table=(?P<table>.*) family=(?P<family>\d+) entries=(?P<entries>\d+) op=(?P<op>\S+)"
    r" pid=(?P<pid>\d+)(?: subj=.*)? comm=(?P<comm>\S+)$",
    re.DOTALL,
)


@dataclass(frozen=True)
class Change:
    """One change of one table: `program` is the process's own name (comm, 15 characters).

    `generation` is nftables', counted by each network namespace; None for the legacy backend.
    """

    table: str
    family: str
    op: str
    pid: int
    program: str
    entries: int
    generation: int | None


class Witness:
    """What happens in all network namespaces, as the kernel tells. A context manager.

    `unwatched` says why a shell's own looks are not seen, where they are not.
    """

    def __init__(self, shells: Iterable[str] = ()) -> None:
        """Begin to listen; `shells` are files of programs, without links, whose looks are told.

        Raises NodeError where the kernel tells nothing, or not to us.
        """
        shells = list(shells)
        self._audit = Audit((AUDIT_NETFILTER_CFG, *(KINDS if shells else ())))
        self._looks: list[Look] = []
        self.unwatched = ""
        try:
            for shell in shells:
                self._audit.watch(shell, CALLS)
        except NodeError as error:
            self.unwatched = str(error)

    def fileno(self) -> int:
        """Ready when there are records to be read."""
        return self._audit.fileno()

    def changes(self) -> list[Change]:
        """All changes since the last call, complete up to now.

        Raises NodeError where that cannot be promised, and ever after.
        """
        records = self._audit.records()
        self._looks += looks_of(records)
        return [parse(text) for kind, text in records if kind == AUDIT_NETFILTER_CFG]

    def looks(self) -> list[Look]:
        """What shells looked at by themselves, up to the last call of `changes`."""
        found, self._looks = self._looks, []
        return found

    def close(self) -> None:
        """Put back what this witness has changed."""
        self._audit.close()

    def __enter__(self) -> Witness:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def parse(text: str) -> Change:
    """Read a record's text. Raises NodeError for what is none: a change may not be overlooked."""
    found = RECORD.search(text)
    if found is None:
        raise NodeError(f"the kernel's record of a change is not understood: {text!r}")
    table, generation = found["table"], None
    if found["op"].startswith("nft_"):  # table=filter:2
        table, _, number = table.rpartition(":")
        generation = int(number)
    family = int(found["family"])
    return Change(
        table=table,
        family=FAMILY.get(family, str(family)),
        op=found["op"],
        pid=int(found["pid"]),
        program=untrusted(found["comm"]).decode(errors="replace"),
        entries=int(found["entries"]),
        generation=generation,
    )
