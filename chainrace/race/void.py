"""Trials of which nothing may be concluded, though they came to their end."""

import re
from collections.abc import Iterable

from chainrace.race.coverage import unseen
from chainrace.race.outcome import HEALTHY, Outcome
from chainrace.race.trial import Call, Seen
from chainrace.race.verdict import FIXED

# iptables(8), exit status 4; what kubelet logs of it:
# error appending rule: exit status 4: Another app is currently holding the xtables lock.
LOCKED = re.compile(r"holding the xtables lock")


def why_void(script: str, reference: Iterable[Call], seen: Seen, outcome: Outcome) -> str:
    """Why a trial counts nowhere; empty where it counts.

    `script` is the arm, `reference` what kubelet does in its clean start.
    """
    code = seen.script_code
    if code != 0 and (script == FIXED or outcome.name == HEALTHY):
        # One that does nothing would look harmless.
        return f"the {script} script itself failed with code {code}"
    if any(LOCKED.search(one.cause) for one in outcome.families.values()):
        return "something else held the lock of iptables for as long as kubelet waits"
    missed = unseen(reference, seen.commands)
    if outcome.name == HEALTHY and missed:
        return f"kubelet was not seen to run {', '.join(missed)}"
    return ""
