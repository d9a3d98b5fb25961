"""Whether the gate saw all that happened: what it missed was put into no order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chainrace.model.rules import FAMILIES, parse
from chainrace.model.trial import Call

# What kubelet runs at each start, whatever is there: it makes each chain, and looks for each
# rule before it makes that (EnsureChain and EnsureRule in pkg/util/iptables/iptables.go).
ALWAYS = frozenset({"-N", "-C"})


def unseen(reference: Iterable[Call], seen: Iterable[Call]) -> tuple[str, ...]:
    """What kubelet runs in its clean start, and was not seen to run here.

    A kubelet that stayed healthy has run all of it: then the gate was blind, or nothing
    was raced. Which order, and how often, is a matter of the interleaving.
    """
    done = {str(call) for call in seen if call.actor == "kubelet"}
    return tuple(dict.fromkeys(str(call) for call in _always(reference) if str(call) not in done))


def unmade(
    before: Mapping[str, str], after: Mapping[str, str], calls: Iterable[Call]
) -> tuple[str, ...]:
    """The chains that a clean start added, and that kubelet was not seen to make.

    `before` and `after` are iptables-save texts by family: the kernel's word against the gate's.
    """
    made = {
        f"{call.family} {call.table} :{call.arguments[call.arguments.index('-N') + 1]}"
        for call in _always(calls)
        if "-N" in call.arguments
    }
    return tuple(
        f"{family} {entry}"
        for family in FAMILIES
        for entry in parse(after[family]).missing_from(parse(before[family]))
        if " :" in entry and f"{family} {entry}" not in made
    )


def _always(calls: Iterable[Call]) -> Iterable[Call]:
    return (call for call in calls if call.actor == "kubelet" and ALWAYS & set(call.arguments))
