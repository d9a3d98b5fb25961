"""Trials of which nothing may be concluded, though they came to their end."""

import math
from collections.abc import Iterable

from chainrace.judge.outcome import Outcome
from chainrace.judge.verdict import FIXED
from chainrace.model.actors import KUBELET, OTHER
from chainrace.model.mode import HEALTHY
from chainrace.model.trial import Call, Seen
from chainrace.subjects.kubelet.coverage import unseen

# iptables(8), exit status 4: something else held the lock for as long as kubelet waits.
LOCKED = 4

Span = tuple[float, float | None]  # from, until; None: still there


def why_void(
    script: str, reference: Iterable[Call], seen: Seen, outcome: Outcome, *, expect: int = 0
) -> str:
    """Why a trial counts nowhere; empty where it counts.

    `script` is the arm, `reference` what kubelet does in its clean start, `expect` the code that
    the script is to end with. Harm while the fixed
    script ran always counts, and what speaks for the original always does: what is left out may
    only make it harder to confirm.
    """
    harmed, fixed = outcome.name != HEALTHY, script == FIXED
    if seen.script_code != expect and not (fixed and harmed):
        # One that does nothing would look harmless.
        return f"the {script} script itself failed with code {seen.script_code}"
    if harmed and _locked_by_another(seen):
        return "something else held the lock of iptables for as long as kubelet waits"
    missed = unseen(reference, seen.commands)
    if fixed and not harmed and missed:
        return f"kubelet was not seen to run {', '.join(missed)}"
    return ""


def _locked_by_another(seen: Seen) -> bool:
    """Whether kubelet met a lock while neither the script nor what it asked for ran.

    What a script leaves running ends with it: its unit is gone then (systemd.kill(5)).
    """
    spans = [(one.started, one.ended) for one in seen.commands if one.actor not in {KUBELET, OTHER}]
    if seen.script_started is not None:
        spans.append((seen.script_started, seen.script_ended))
    locked = (one for one in seen.commands if one.actor == KUBELET and one.code == LOCKED)
    return any(
        not any(_together((one.started, one.ended), span) for span in spans) for one in locked
    )


def _together(one: Span, other: Span) -> bool:
    return one[0] <= (other[1] or math.inf) and other[0] <= (one[1] or math.inf)
