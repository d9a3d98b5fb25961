"""What kubelet's Monitor does, told by its processes: canaries made, a look taken.

Source: pkg/util/iptables/iptables.go of Kubernetes, Monitor: it makes the canary in
mangle, nat and filter, in that order, then looks for mangle's once a minute.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from chainrace.gate.process import Command
from chainrace.model.actors import KUBELET
from chainrace.subjects.kubelet.words import CANARY


def of_canary(command: Command) -> bool:
    """Whether a process is one of the Monitor's: kubelet's, about the canary."""
    return command.actor == KUBELET and CANARY in command.arguments


def canaries_done(commands: list[Command], family: str) -> bool:
    """Whether the Monitor's first round is over: the last canary made, or one refused."""
    return any(
        of_canary(command)
        and command.family == family
        and command.ended is not None
        and "-N" in command.arguments
        # 0: made; 1: there already; anything else ends the round (iptables.go)
        and ("filter" in command.arguments or command.code not in (0, 1))
        for command in commands
    )


def look_over(commands: list[Command], family: str) -> bool:
    """Whether the Monitor has looked for its canary and done all that follows from it.

    `commands` are those since it was last at rest. A look that finds the canary is all;
    one that does not is followed by a repair, whose end is the canaries' new making.
    """
    looks = [
        command
        for command in commands
        if of_canary(command)
        and command.family == family
        and "-S" in command.arguments
        and command.ended is not None
    ]
    if not looks:
        return False
    return looks[0].code == 0 or canaries_done(commands, family)


class Looks:
    """The Monitor's next look at each family, from now on. `commands` is the loop's own list."""

    def __init__(self, commands: list[Command], words: Mapping[str, str]) -> None:
        """`words` are kubelet's on each family."""
        self._commands = commands
        self._since = time.monotonic()
        self._initialised = [family for family, word in words.items() if word == "initialised"]

    @property
    def seconds(self) -> float:
        """Since when it is looked for."""
        return time.monotonic() - self._since

    @property
    def over(self) -> bool:
        """Whether each family's was, and all that followed from it: the next finds the same."""
        looked = self.looked()
        return bool(looked) and all(looked.values())

    def looked(self) -> dict[str, bool]:
        """Whether it was, for each family that kubelet has initialised."""
        new = [one for one in self._commands if one.started > self._since]
        return {family: look_over(new, family) for family in self._initialised}
