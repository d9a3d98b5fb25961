"""Where in a trial the flush fell, and whether the outage could happen there.

kubelet builds its guard (the chain KUBE-FIREWALL, two jumps, one rule) in IPv4 only,
in eight steps (pkg/kubelet/kubelet_network_linux.go, syncIPTablesRules). A flush that
deletes the chain between its making and its last use breaks kubelet's start.
"""

from dataclasses import dataclass
from itertools import pairwise

from chainrace.model.trial import Command, Seen

GUARD_CHAIN = "KUBE-FIREWALL"


@dataclass(frozen=True)
class Sighting:
    """What one trial tells the search. Times in seconds after kubelet's first process.

    `flush` is when the first deletion of the filter table's user chains began;
    `guard_begin` when kubelet's chain was made, `guard_end` when its last rule was
    asked for. None where that was not seen.
    """

    script_started: float
    flush: float | None
    guard_begin: float | None
    guard_end: float | None
    failed: bool


def sighting(seen: Seen, *, failed: bool) -> Sighting:
    """Read a trial's timeline for the search; `failed` is whether kubelet's start failed."""
    ipv4 = [command for command in seen.commands if command.family == "ipv4"]
    flushes = [one.started for one in ipv4 if _removes_guard(one)]
    made = [one.ended for one in ipv4 if _makes_guard(one)]
    last = [one.started for one in ipv4 if _ends_guard(one)]
    return Sighting(
        script_started=seen.script_started or 0.0,
        flush=min(flushes, default=None),
        guard_begin=made[0] if made else None,
        guard_end=last[0] if last else None,
        failed=failed,
    )


def is_hit(seen: Seen) -> bool:
    """Whether the chain surely was deleted after its making, with uses still to come.

    A delete that failed (the chain had references at that instant) is no hit, nor is
    one that overlapped the making or the last use: only sure ones may show that the
    original *held* in a window known to be hit.
    """
    ipv4 = [command for command in seen.commands if command.family == "ipv4"]
    made = [one for one in ipv4 if _makes_guard(one)]
    uses = [one for one in ipv4 if one.actor == "kubelet" and GUARD_CHAIN in one.arguments]
    if not made or made[0].ended is None:
        return False
    begin, end = made[0].ended, uses[-1].started
    return any(
        _removes_guard(one) and one.code == 0 and begin <= one.started and (one.ended or end) <= end
        for one in ipv4
    )


def _makes_guard(command: Command) -> bool:
    return command.actor == "kubelet" and _names(command, "-N")


def _ends_guard(command: Command) -> bool:
    return command.actor == "kubelet" and _names(command, "-A")


def _names(command: Command, option: str) -> bool:
    """Whether the command is `option KUBE-FIREWALL`."""
    return (option, GUARD_CHAIN) in pairwise(command.arguments)


def _removes_guard(command: Command) -> bool:
    """A restore, or the deletion of all user chains in the guard's table."""
    if command.actor == "kubelet":
        return False
    if command.program.endswith("-restore"):
        return "--noflush" not in command.arguments and "-n" not in command.arguments
    return "-X" in command.arguments and command.table == "filter"
