"""What a node itself says is wrong with it: on its console, and in its journal."""

from contextlib import suppress
from pathlib import Path

from chainrace.errors import LabError
from chainrace.node.machine import console_since
from chainrace.node.node import Node
from chainrace.paths import Paths
from chainrace.race.badlines import Complaint, complaints

# Warnings and worse, of all units; kubelet's own lines have no priority in the journal.
JOURNAL = "journalctl --boot --priority=warning --output=short-monotonic --no-pager"


class Listening:
    """A node's console from now on, and at the end the journal of its boot."""

    def __init__(self, paths: Paths, node: Node) -> None:
        self._node = node
        self._console = paths.console(node.machine.name)
        self._from = self._console.stat().st_size if self._console.exists() else 0

    def take(self, folder: Path) -> list[Complaint]:
        """Keep what was said as node.log in a results folder; what of it is known to be bad.

        A node that answers no more leaves its console alone.
        """
        text, _ = console_since(self._console, self._from)
        with suppress(LabError):
            text += self._node.connection.run(JOURNAL).stdout
        (folder / "node.log").write_text(text)
        return complaints(text)
