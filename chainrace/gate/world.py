"""Reads all firewall state as ordered text, while the processes that change it are held.

Nothing is made by looking: the kernel is asked for its tables first (backends.py, nftables.py),
and programs print only those that are there.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
from collections.abc import Callable

from chainrace.gate import nftables
from chainrace.gate.backends import CHAINS, legacy_tables
from chainrace.gate.rules import SAVE
from chainrace.gate.shell import NodeError
from chainrace.model.backends import LEGACY, NFT, OTHER_BACKEND, Backend

SAVE_OF = {
    NFT: {"ipv4": "iptables-nft-save", "ipv6": "ip6tables-nft-save"},
    LEGACY: {"ipv4": "iptables-legacy-save", "ipv6": "ip6tables-legacy-save"},
}
# A family as nft calls it -> as the witness and iptables' parts call it; others have one name.
FAMILY = {"ip": "ipv4", "ip6": "ipv6"}
WORD = {family: word for word, family in FAMILY.items()}
IPSET = "ipset"
IPSET_MODULE = "/sys/module/ip_set"
BUILT_IN = {chain for chains in CHAINS.values() for chain in chains}

# What iptables-save says of a table that it cannot print. Source: iptables/xtables-save.c.
# # Table `nat' is incompatible, use 'nft' tool.
INCOMPATIBLE = re.compile(r"^# Table `(.+)' is incompatible, use 'nft' tool\.", re.MULTILINE)
# # Table `raw' contains incompatible base-chains, use 'nft' tool to list them.
IN_PART = re.compile(r"^# Table `(.+)' contains incompatible base-chains", re.MULTILINE)

# What nft lists, stateless: a table's chains, and in each its hook, and its rules.
# 	chain POSTROUTING {
CHAIN = re.compile(r"\tchain (\S+) \{")
# 		type nat hook postrouting priority srcnat; policy accept;
HOOK = re.compile(r"\t\ttype \S+ hook .*?;(?: policy (\w+);)?")
# # Warning: table ip nat is managed by iptables-nft, do not touch!
COMMENT = re.compile(r"\s*#")

# ipset's own state, which differs each time: the time left, counters, the seed of a hash.
# add allowed 192.0.2.1 timeout 299 packets 3 bytes 180
OF_ENTRY = re.compile(r" (?:timeout|packets|bytes) \d+")
# create allowed hash:ip family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x4009b5e1
OF_SET = re.compile(r" initval 0x[0-9a-f]+")


class World:
    """Reads by child processes, while `pump` goes on answering those who wait at the gate.

    Only what has changed is read again.
    """

    def __init__(
        self, backend: Backend, pump: Callable[[float], set[int]], poll: select.poll
    ) -> None:
        """`backend` is the one in use; of the other only what is left there is looked at.

        A script may turn `iptables` into the other backend: the programs here have names that
        say which they are, where the node has them.
        """
        self._backend = backend
        self._pump = pump
        self._poll = poll
        self._programs = {
            (family, kind): name if kind != backend or shutil.which(name) else SAVE[family]
            for kind, names in SAVE_OF.items()
            for family, name in names.items()
        }
        self._texts: dict[str, str] = {}
        # nft's listings of tables that iptables-save leaves out, by the part they complete.
        self._completing: dict[str, list[str]] = {}

    def parts(self, changed: set[tuple[str, str]] | None) -> dict[str, str]:
        """All state: `ipv4`, `ipv6`, `ipv4/legacy` or `ipv4/nft`, `nft/inet mine`, `ipset`.

        `changed` has the family and table of each change since the last call, as the witness
        has them (ipv4, filter); None where all must be read. Raises NodeError.
        """
        if not self._texts:
            changed = None
        tables = _nft_tables()
        kept: set[str] = set()
        wanted: dict[str, list[str]] = {}

        def part(name: str, command: list[str], *, stale: bool) -> None:
            if changed is None or stale or name not in self._texts:
                wanted[name] = command
            else:
                kept.update([name], self._completing.get(name, []))

        for family, kinds in self._backends(tables).items():
            stale = changed is not None and any((family, table) in changed for table in CHAINS)
            for name, kind in kinds.items():
                part(name, [self._programs[family, kind]], stale=stale)
        for word, table in tables:
            if not _of_iptables(word, table):
                stale = changed is not None and (FAMILY.get(word, word), table) in changed
                part(f"nft/{word} {table}", _listing(word, table), stale=stale)
        # No record tells of changes of sets.
        if os.path.exists(IPSET_MODULE) and shutil.which(IPSET):
            part(IPSET, [IPSET, "save"], stale=True)
        known, self._texts = self._texts, {}  # after a failure all is read again
        texts = self._outputs(wanted)
        texts[IPSET] = sets(texts.get(IPSET, ""))
        if not texts[IPSET]:
            del texts[IPSET]  # looking may load the module
        self._complete(texts)
        texts.update((name, known[name]) for name in kept)
        self._texts = dict(sorted(texts.items()))
        return dict(self._texts)

    def _backends(self, tables: list[tuple[str, str]]) -> dict[str, dict[str, Backend]]:
        """The parts of iptables, by family: the backend in use, and the other if it has tables."""
        other = OTHER_BACKEND[self._backend]
        found: dict[str, dict[str, Backend]] = {}
        for family in SAVE:
            found[family] = {family: self._backend}
            if other == LEGACY:
                left = bool(legacy_tables(family))
            else:
                left = any(_of_iptables(*one) for one in tables if one[0] == WORD[family])
            if left:
                found[family][f"{family}/{other}"] = other
        return found

    def _complete(self, texts: dict[str, str]) -> None:
        """Add what iptables-save does not print of tables that nft has put something into."""
        lists: dict[str, list[str]] = {}
        unprinted: dict[str, list[str]] = {}
        for name, text in texts.items():
            family = name.partition("/")[0]
            if family not in SAVE:
                continue
            unprinted[name] = INCOMPATIBLE.findall(text)
            word = WORD[family]
            for table in [*unprinted[name], *IN_PART.findall(text)]:
                lists[f"nft/{word} {table}"] = _listing(word, table)
        listed = self._outputs(lists)
        for name, incompatible in unprinted.items():
            word = WORD[name.partition("/")[0]]
            self._completing[name] = [
                f"nft/{word} {table}" for table in [*incompatible, *IN_PART.findall(texts[name])]
            ]
            for table in incompatible:
                key = f"nft/{word} {table}"
                section, whole = section_of(listed[key])
                texts[name] += section
                if whole:
                    del listed[key]
                    self._completing[name].remove(key)
        texts.update(listed)

    def _outputs(self, commands: dict[str, list[str]]) -> dict[str, str]:
        """Run programs side by side and return what each prints."""
        children: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for name, command in commands.items():
                children[name] = _started(command)
            texts = self._drained(children)
        except BaseException:
            for child in children.values():
                child.kill()
            raise
        finally:
            for child in children.values():
                with child:
                    pass
        for name, child in children.items():
            if child.returncode != 0:
                raise NodeError(f"{' '.join(commands[name])} failed with {child.returncode}")
        return texts

    def _drained(self, children: dict[str, subprocess.Popen[bytes]]) -> dict[str, str]:
        texts = dict.fromkeys(children, b"")
        pipes: dict[int, str] = {}
        try:
            for name, child in children.items():
                assert child.stdout is not None  # noqa: S101 - for the type: it is a pipe
                pipes[child.stdout.fileno()] = name
                self._poll.register(child.stdout.fileno(), select.POLLIN)
            while pipes:
                for descriptor in self._pump(1.0) & set(pipes):
                    data = os.read(descriptor, 65536)
                    texts[pipes[descriptor]] += data
                    if not data:
                        self._poll.unregister(descriptor)
                        del pipes[descriptor]
        finally:
            for descriptor in pipes:
                self._poll.unregister(descriptor)
        return {name: text.decode(errors="replace") for name, text in texts.items()}


def _nft_tables() -> list[tuple[str, str]]:
    try:
        return nftables.all_tables()
    except OSError as error:
        raise NodeError(f"the kernel's nftables cannot be asked: {error}") from error


def _of_iptables(word: str, table: str) -> bool:
    """Whether an nft table is one that iptables has made, or would take for its own."""
    return word in FAMILY and table in CHAINS


def _listing(word: str, table: str) -> list[str]:
    return ["nft", "-s", "list", "table", word, table]


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError as error:
        raise NodeError(f"{' '.join(command)}: {error}") from error


def section_of(listing: str) -> tuple[str, bool]:
    """A table as `nft -s list table` has it, as a section of an iptables-save text.

    Rules stay in nft's own words. Also whether that is the whole table: one with sets, or with
    hooks of chains that iptables does not have, is more than such a section says.
    """
    table, chain, whole = "", "", True
    chains: list[str] = []
    rules: list[str] = []
    for line in listing.splitlines():
        if not line.strip() or COMMENT.match(line):
            continue
        begun = CHAIN.fullmatch(line)
        hook = HOOK.match(line)
        if line.startswith("table "):  # table ip nat {
            table = line.split()[2]
        elif begun is not None:
            chain = begun[1]
            chains.append(f":{chain} {'ACCEPT' if chain in BUILT_IN else '-'} [0:0]")
        elif line in ("\t}", "}"):
            chain = ""
        elif not chain:
            whole = False  # a set, a map, flags of the table
        elif hook is not None:
            if chain in BUILT_IN:
                chains[-1] = f":{chain} {(hook[1] or 'accept').upper()} [0:0]"
            else:
                whole = False
        elif line.startswith("\t\t\t"):  # nft breaks long sets into lines
            rules[-1] += f" {line.strip()}"
        else:
            rules.append(f"-A {chain} {line.strip()}")
    return "\n".join((f"*{table}", *chains, *rules, "COMMIT", "")), whole


def sets(text: str) -> str:
    """What `ipset save` prints, sorted, without what changes by itself or differs each time."""
    return "".join(
        (OF_ENTRY if line.startswith("add ") else OF_SET).sub("", line) + "\n"
        for line in sorted(text.splitlines())
    )
