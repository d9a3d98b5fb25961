"""The shortest schedule to an end state: fewest preemptions, then fewest steps before them.

A graph that was reduced holds one order of many that mean the same. Here steps that do
not conflict are moved together again, so that a finding reads as one would tell it.
"""

from collections.abc import Mapping
from heapq import heappop, heappush

from chainrace.model.actors import KUBELETS, owner
from chainrace.model.schedule import Schedule, cost, from_steps
from chainrace.search.explorer import Explorer, Path
from chainrace.search.trace import Needs, Trace


def short_paths(explorer: Explorer) -> dict[str, Path]:
    """A way with the fewest switches of actor from the start to each state, by its key."""
    best: dict[str, Path] = {}
    done: set[tuple[str, str]] = set()
    # Ties by the path itself, never by the order in which states were found.
    heap: list[tuple[int, int, Path, str]] = [(0, 0, (), explorer.initial.key)]
    while heap:
        switches, _, path, key = heappop(heap)
        last = path[-1] if path else ""
        if (key, last) in done:
            continue
        done.add((key, last))
        best.setdefault(key, path)
        for actor, target in explorer.edges[key].items():
            further = (*path, actor)
            heappush(heap, (switches + (actor != last), len(further), further, target))
    return best


def shortest(path: Path, trace: Trace) -> Schedule:
    """The schedule with the fewest preemptions among those that mean the same as a path."""
    if not path:
        raise ValueError("nobody makes a step: there is nothing to schedule")
    if {owner(lane) for lane in path} != set(path) or set(KUBELETS) <= set(path):
        # Which lane of the script's is which depends on the order of its own steps, and what one
        # of kubelet's may do on the other.
        return from_steps(path)
    orders = (_order(first, trace.needs) for first in sorted(set(path)))
    return min((from_steps(order) for order in orders), key=cost)


def _order(first: str, needs: Mapping[str, tuple[Needs, ...]]) -> Path:
    """Let each actor go on as long as it may, beginning with `first`."""
    done = dict.fromkeys(needs, 0)

    def reach(actor: str) -> int:
        """Up to which step the actor may go on now."""
        at = done[actor]
        steps = needs[actor]
        while at < len(steps) and all(done[one] >= n for one, n in steps[at].items()):
            at += 1
        return at

    order: list[str] = []
    actor = first
    while any(done[one] < len(steps) for one, steps in needs.items()):
        at = reach(actor)
        order += [actor] * (at - done[actor])
        done[actor] = at
        actor = max(sorted(needs), key=lambda one: reach(one) - done[one])
    return tuple(order)
