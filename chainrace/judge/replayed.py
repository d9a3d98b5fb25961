"""What one schedule led to when it was replayed."""

from collections.abc import Mapping
from dataclasses import dataclass

from chainrace.judge.explored import Healing
from chainrace.judge.outcome import Outcome
from chainrace.judge.timeline import Happened
from chainrace.model.actors import ACTORS, SCRIPT_ACTOR, SUBJECT
from chainrace.model.protocol import View
from chainrace.model.schedule import Schedule
from chainrace.model.trial import Ending


@dataclass(frozen=True)
class Healed:
    """What a subject made of a replay's end by itself; `looked` by family, as far as was seen."""

    looked: Mapping[str, bool]
    seconds: float
    left: Outcome

    def of(self, family: str) -> Healing:
        """The same of one family."""
        return Healing(self.looked.get(family, False), self.seconds, self.left.families[family])


@dataclass(frozen=True)
class Replayed:
    """What a schedule led to; `view` is the agent's own, with every command.

    `steps` are told only where the rules were read after each. `sides` says whose steps are those
    of the subject's lanes, and whose those of the script's.
    """

    schedule: Schedule
    view: View
    ending: Ending
    outcome: Outcome
    steps: tuple[Happened, ...] = ()
    sides: tuple[str, str] = (SUBJECT, ACTORS[SCRIPT_ACTOR])
