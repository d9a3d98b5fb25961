"""Reads the rules and the saved files while iptables processes are held."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Callable

from chainrace.gate.backends import LEGACY, NFT, OTHER_BACKEND, Backend, legacy_tables
from chainrace.gate.nftables import generation
from chainrace.gate.process import Command
from chainrace.gate.rules import SAVE, SAVED_FILE
from chainrace.gate.shell import NodeError

SAVE_OF = {
    NFT: {"ipv4": "iptables-nft-save", "ipv6": "ip6tables-nft-save"},
    LEGACY: {"ipv4": "iptables-legacy-save", "ipv6": "ip6tables-legacy-save"},
}


class Reader:
    """Reads by child processes, while `pump` goes on answering those that open the library.

    A text that cannot have changed is not read again: the kernel counts the changes
    of its nftables rules, and only commands of a family change that family's.
    """

    def __init__(
        self, backend: Backend, pump: Callable[[float], set[int]], poll: select.poll
    ) -> None:
        """`backend` is the one in use, to which the other is only looked at for leftovers."""
        self._backend = backend
        self._pump = pump
        self._poll = poll
        # At the clean state the nft backend has no tables but those of its own use.
        self._began = self._generation = generation()
        self._seen_commands = 0
        self._texts: dict[str, str] = {}

    def rules(self, commands: list[Command]) -> dict[str, str]:
        """The rules as iptables-save prints them, by family.

        `ipv4/legacy` or `ipv4/nft` are there where the backend that is not in use has
        tables. `commands` are all that the gate has let go so far. Raises NodeError.
        """
        now = generation()
        since = commands[self._seen_commands :]
        families = {one.family for one in since}
        if not self._texts or any(one.program.startswith("nft") for one in since):
            families = set(SAVE)
        changed = {NFT: now != self._generation or not self._texts, LEGACY: True}
        other = OTHER_BACKEND[self._backend]
        wanted = {}
        for family in sorted(families):
            if changed[self._backend]:
                wanted[family] = SAVE[family]
            left = now != self._began if other == NFT else legacy_tables(family)
            if changed[other] and left:
                wanted[f"{family}/{other}"] = SAVE_OF[other][family]
        self._texts.update(self._outputs(wanted))
        self._generation, self._seen_commands = now, len(commands)
        return dict(self._texts)

    @staticmethod
    def saved() -> dict[str, str]:
        """What the save script's files hold; nothing for one that is not there."""
        found = {}
        for family, path in SAVED_FILE.items():
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    found[family] = file.read()
        return found

    def _outputs(self, programs: dict[str, str]) -> dict[str, str]:
        """Run programs side by side and return what each prints."""
        children = {
            name: subprocess.Popen([program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            for name, program in programs.items()
        }
        texts: dict[str, bytes] = {}
        pipes: dict[int, str] = {}
        for name, child in children.items():
            assert child.stdout is not None  # noqa: S101 - for the type: it is a pipe
            descriptor = child.stdout.fileno()
            pipes[descriptor], texts[name] = name, b""
            self._poll.register(descriptor, select.POLLIN)
        while pipes:
            for descriptor in self._pump(1.0) & set(pipes):
                data = os.read(descriptor, 65536)
                texts[pipes[descriptor]] += data
                if not data:
                    self._poll.unregister(descriptor)
                    del pipes[descriptor]
        for name, child in children.items():
            with child:
                pass
            if child.returncode != 0:
                raise NodeError(f"{programs[name]} failed with {child.returncode}")
        return {name: text.decode(errors="replace") for name, text in texts.items()}
