"""Trials of which nothing may be concluded, though they came to their end."""

import math
from collections.abc import Iterable

from chainrace.gate.process import OTHER
from chainrace.race.coverage import unseen
from chainrace.race.outcome import HEALTHY, Outcome
from chainrace.race.trial import Call, Command, Seen
from chainrace.race.verdict import FIXED

# iptables(8), exit status 4: something else held the lock for as long as kubelet waits.
LOCKED = 4


def why_void(script: str, reference: Iterable[Call], seen: Seen, outcome: Outcome) -> str:
    """Why a trial counts nowhere; empty where it counts.

    `script` is the arm, `reference` what kubelet does in its clean start. Harm beside the fixed
    script always counts, and what speaks for the original always does: what is left out may
    only make it harder to confirm.
    """
    harmed, fixed = outcome.name != HEALTHY, script == FIXED
    if seen.script_code != 0 and not (fixed and harmed):
        # One that does nothing would look harmless.
        return f"the {script} script itself failed with code {seen.script_code}"
    if harmed and not fixed and _locked_by_another(seen.commands):
        return "something else held the lock of iptables for as long as kubelet waits"
    missed = unseen(reference, seen.commands)
    if fixed and not harmed and missed:
        return f"kubelet was not seen to run {', '.join(missed)}"
    return ""


def _locked_by_another(commands: Iterable[Command]) -> bool:
    """Whether kubelet met a lock while none of the script's processes ran."""
    every = list(commands)
    mine = [one for one in every if one.actor not in ("kubelet", OTHER)]
    return any(
        one.actor == "kubelet" and one.code == LOCKED and not any(_together(one, m) for m in mine)
        for one in every
    )


def _together(one: Command, other: Command) -> bool:
    return one.started <= (other.ended or math.inf) and other.started <= (one.ended or math.inf)
