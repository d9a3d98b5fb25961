"""Whether a trial's interleaving was one in which the outage can happen.

The race needs the save before, and the flush after, some of kubelet's steps. A trial
whose own timeline shows that is in the window, whatever came of it: only so can one
say that the original *held* in a window known to be hit.
"""

from chainrace.race.trial import Command, Seen

GUARD_CHAIN = "KUBE-FIREWALL"


def is_hit(seen: Seen) -> bool:
    """Whether the IPv4 save came before kubelet's guard chain, and a flush inside its use.

    IPv4, because kubelet builds the guard for that family only
    (pkg/kubelet/kubelet_network_linux.go, syncIPTablesRules).
    """
    ipv4 = [command for command in seen.commands if command.family == "ipv4"]
    made = [one for one in ipv4 if _makes_guard(one)]
    uses = [one for one in ipv4 if one.actor == "kubelet" and GUARD_CHAIN in one.arguments]
    saves = [one for one in ipv4 if one.actor == "script" and one.program == "iptables-save"]
    if not made or not saves:
        return False
    begin, end = made[0].started, uses[-1].started
    if saves[0].started > begin:
        return False
    return any(_removes_guard(one) and begin < one.started < end for one in ipv4)


def _makes_guard(command: Command) -> bool:
    return command.actor == "kubelet" and command.arguments[-4:-2] == ("-N", GUARD_CHAIN)


def _removes_guard(command: Command) -> bool:
    """A restore, or the deletion of all user chains in the guard's table."""
    if command.actor == "kubelet":
        return False
    if command.program.endswith("-restore"):
        return "--noflush" not in command.arguments and "-n" not in command.arguments
    return "-X" in command.arguments and command.table == "filter"
