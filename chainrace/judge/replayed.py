"""What one schedule led to when it was replayed."""

from dataclasses import dataclass

from chainrace.judge.outcome import Outcome
from chainrace.judge.timeline import Happened
from chainrace.model.protocol import View
from chainrace.model.schedule import Schedule
from chainrace.model.trial import Ending


@dataclass(frozen=True)
class Replayed:
    """What a schedule led to; `view` is the agent's own, with every command.

    `steps` are told only where the rules were read after each.
    """

    schedule: Schedule
    view: View
    ending: Ending
    outcome: Outcome
    steps: tuple[Happened, ...] = ()
