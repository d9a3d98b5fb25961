"""kubelet's journal, followed while a trial runs: its words on each family."""

from __future__ import annotations

import os
import re
import subprocess

from chainrace.gate.process import KUBELET_UNIT
from chainrace.gate.shell import NodeError, run
from chainrace.subjects.kubelet.words import BEYOND, FAILED, FAMILY_OF_PROTOCOL, INITIALISED

# klog's header: I1121 06:31:22.123456    1085 kubelet.go:1802] ...
HEADER = re.compile(r"[IWEF]\d{4} [\d:.]+ +(\d+) ")


class Journal:
    """Lines of kubelet's unit from now on. Use as a context manager.

    `words` has, by family, `initialised` or `failed`; `beyond` says whether kubelet
    has logged the call after its initialisation.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.words: dict[str, str] = {}
        self.beyond = False
        self._rest = b""
        self._gone: set[str] = set()
        cursor = run(["journalctl", "-n", "0", "--show-cursor"]).split("-- cursor: ")[-1]
        self._pipe, its_end = os.pipe()
        self._follower = subprocess.Popen(
            [
                *("journalctl", "--follow", "--output=cat", "--unit", KUBELET_UNIT),
                *("--after-cursor", cursor.strip()),
            ],
            stdout=its_end,
            stderr=subprocess.DEVNULL,
        )
        os.close(its_end)

    def fileno(self) -> int:
        return self._pipe

    def forget(self, pid: int) -> None:
        """Forget the words of a kubelet that is gone, also those that come late."""
        self._gone.add(str(pid))
        self.words.clear()
        self.beyond = False

    def hear(self) -> None:
        """Take in what has come. Call when `fileno` is ready. Raises NodeError at its end."""
        data = os.read(self._pipe, 65536)
        if not data:
            raise NodeError("journalctl ended: what kubelet says cannot be heard any more")
        *lines, self._rest = (self._rest + data).split(b"\n")
        for raw in lines:
            line = raw.decode(errors="replace")
            self.lines.append(line)
            if (said_by := HEADER.match(line)) and said_by[1] in self._gone:
                continue
            for pattern, word in ((INITIALISED, "initialised"), (FAILED, "failed")):
                found = pattern.search(line)
                if found:
                    self.words.setdefault(FAMILY_OF_PROTOCOL[found[1]], word)
            self.beyond = self.beyond or BEYOND in line

    def close(self) -> None:
        self._follower.kill()
        self._follower.wait()
        os.close(self._pipe)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
