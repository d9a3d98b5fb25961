"""What each command touches, as far as is known: its grammar's word, widened by what was seen."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from chainrace.model.actors import SUBJECT
from chainrace.model.trial import Call
from chainrace.search.step import EVERYTHING, Footprint, footprint, tables_alone


@dataclass
class Footprints:
    """The footprints of commands. One that was seen to touch more than it says touches all.

    A command of another's that names the subject by one of its `words` touches all, too.
    `joined` is what comes along with a step of kubelet's: its work on the other family that
    is not explored, where it cannot go on before that.
    """

    words: tuple[str, ...] = ()
    widened: set[Call] = field(default_factory=set)
    joined: dict[Call, Footprint] = field(default_factory=dict)

    def of(self, call: Call) -> Footprint:
        """What a command may read and write."""
        if call in self.widened or self._means_the_subject(call):
            return EVERYTHING
        more = self.joined.get(call)
        return footprint(call) if more is None else footprint(call) | more

    def _means_the_subject(self, call: Call) -> bool:
        return call.actor != SUBJECT and any(word in str(call) for word in self.words)

    def join(self, call: Call, others: Iterable[Call]) -> None:
        """Have other commands come along with one."""
        for other in others:
            self.joined[call] = self.joined.get(call, Footprint()) | self.of(other)

    def widen(self, call: Call) -> bool:
        """Take a command to touch everything from now on; whether that is new."""
        if self.of(call) == EVERYTHING:
            return False
        self.widened.add(call)
        return True

    def by_tables_alone(self, call: Call) -> bool:
        """Whether what it does depends on nothing but the tables that it touches."""
        return call not in self.widened and tables_alone(call)
