"""What an exploration found, replayed: a harm is reported only after it came out the same."""

from collections.abc import Callable

from chainrace.explore.replay import Replayer
from chainrace.explore.views import Reference
from chainrace.judge.explored import EndState, Finding, Graph
from chainrace.judge.replayed import Replayed

REPLAYS = 3

Keep = Callable[[Finding, Replayed], None]


def confirm(
    graph: Graph,
    replayer: Replayer,
    reference: Reference,
    say: Callable[[str], None],
    keep: Keep,
) -> list[Finding]:
    """Replay the shortest schedule of each failure mode, then watch whether it heals.

    `keep` is called with each finding and its last replay. Raises LabError.
    """
    modes = graph.by_mode()
    found = []
    for number, ends in enumerate(modes, start=1):
        say(f"replaying finding {number} of {len(modes)}, {REPLAYS} times: {ends[0].schedule}")
        finding, last = _confirm(graph.family, ends, replayer, reference)
        keep(finding, last)
        found.append(finding)
    if modes:
        replayer.release()
    return found


def _confirm(
    family: str, ends: list[EndState], replayer: Replayer, reference: Reference
) -> tuple[Finding, Replayed]:
    end = ends[0]
    wanted = end.outcome
    same = 0
    for number in range(1, REPLAYS + 1):
        last = replayer.run(end.schedule, reference, each=number == REPLAYS)
        mine = last.outcome.families[family]
        same += (mine.modes, mine.missing) == (wanted.modes, wanted.missing)
    watched = replayer.watch(reference)
    return (
        Finding(
            family=family,
            schedule=end.schedule,
            outcome=last.outcome.families[family],
            signature=last.outcome.signature,
            detected_by=last.outcome.detected_by,
            end_states=len(ends),
            replays=REPLAYS,
            same=same,
            healing=watched.of(family) if watched else None,
        ),
        last,
    )
