"""What a node itself says is wrong with it: on its console, and in its journal."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.base.text import write
from chainrace.judge.badlines import BadLine, Expected, known_bad_lines
from chainrace.node.machine import console_since
from chainrace.node.node import Booted

# The kernel's lines, warnings and worse of all units, and all that the service and the
# script say; kubelet's and containerd's own chatter is left out.
JOURNAL = (
    "journalctl --boot --since=@{since} --output=short-monotonic --no-pager "
    "_TRANSPORT=kernel + PRIORITY=0 + PRIORITY=1 + PRIORITY=2 + PRIORITY=3 + PRIORITY=4 "
    "+ _SYSTEMD_UNIT=iptables.service + _SYSTEMD_UNIT=chainrace-script.service"
)


class Listening:
    """A node's console since it was brought up, its journal from now on.

    After a reboot: the journal since that.
    """

    def __init__(self, paths: Paths, node: Booted, expected: Sequence[Expected] = ()) -> None:
        """`expected` are the scenario's."""
        self._expected = expected
        self._node = node
        self._console = paths.console(node.machine.name)
        self._from = node.console_from
        self._since = int(node.connection.succeed("date +%s"))

    def take(self, folder: Path) -> list[BadLine]:
        """Keep what was said as <node>.log in a results folder; what of it is known to be bad.

        A node that answers no more leaves its console alone.
        """
        text, _ = console_since(self._console, self._from)
        with suppress(LabError):
            text += self._node.connection.run(JOURNAL.format(since=self._since)).stdout
        name = self._node.machine.name
        write(folder / f"{name}.log", text)
        return known_bad_lines(name, text, self._expected)
