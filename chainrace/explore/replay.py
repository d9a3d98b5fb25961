"""Runs exactly one schedule, from a fresh start of kubelet."""

from chainrace.base.errors import UsageError
from chainrace.explore.roots import FIRST, LAZY, subjects_turns
from chainrace.explore.views import Reference, as_seen, ending_of, reference_of
from chainrace.explore.walker import PRISTINE, Walker
from chainrace.judge.replayed import Healed, Replayed
from chainrace.judge.timeline import timeline
from chainrace.model.actors import (
    ACTORS,
    HISTORIES,
    KUBELETS,
    SCRIPT_ACTOR,
    SUBJECT_ACTOR,
    SUBJECT_LANES,
)
from chainrace.model.protocol import Release, Watch
from chainrace.model.schedule import Schedule
from chainrace.model.subject import Subject, letter_of, sides
from chainrace.node.agent import Agent
from chainrace.node.snapshots import Snapshots
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET


def turns_of(schedule: Schedule) -> list[tuple[str, int | None]]:
    """A schedule's turns, and after them all that is left: kubelet's families, the script.

    Raises UsageError for an actor that there is not.
    """
    turns = [(turn.actor, turn.steps) for turn in schedule.turns]
    for actor, _ in turns:
        if actor not in ACTORS:
            known = ", ".join(f"{letter} ({name})" for letter, name in ACTORS.items())
            raise UsageError(f"{actor} is no actor", f"actors are {known}")
    # A kubelet that the script restarts has steps left even after `k*`.
    return turns + [(actor, None) for actor in HISTORIES]


def refuse_strangers(schedule: Schedule, raced: Subject, against: Subject | None = None) -> None:
    """Raise UsageError for a schedule with steps of a subject that takes no part."""
    subject, _ = sides(raced, against)
    others = SUBJECT_LANES if subject.by_family else "".join(KUBELETS)
    for turn in schedule.turns:
        if turn.actor in others:
            own = ", ".join(KUBELETS) if subject.by_family else SUBJECT_ACTOR
            raise UsageError(
                f"{turn}: {ACTORS[turn.actor]} takes no part where {subject.name} is the subject",
                f"the steps of {subject.name} are {own}; another subject: --subject NAME",
            )


def lazy_in(schedule: Schedule) -> tuple[str, ...]:
    """Kubelet's lane that waits until the other needs it first, as it did when exploring.

    That is the one that a schedule does not name: x (`LAZY`) where it names neither, none where
    it names both.
    """
    named = {turn.actor for turn in schedule.turns} & set(KUBELETS)
    return tuple(lane for lane in KUBELETS if lane not in named) if named else LAZY


class Replayer:
    """Replays on one node. Take the reference first."""

    def __init__(
        self,
        agent: Agent,
        script: str,
        limit: float,
        *,
        boot: bool = False,
        snapshots: Snapshots | None = None,
        subject: Subject = KUBELET,
        other: Subject | None = None,
    ) -> None:
        """`boot`: from before iptables.service has been started. `other`: a unit in its place.

        With `snapshots` each start is the same disk and memory (explore/preparation.py).
        """
        self._agent = agent
        self._snapshots = snapshots
        self._script = script
        self._limit = limit
        self._boot = boot
        self._subject = subject
        self._other = other

    def reference(self, subject: Subject | None = None) -> Reference:
        """What a clean start leaves on this node, of the one that is judged, or of another.

        It starts alone. Raises LabError.
        """
        subject = subject or self._subject
        walker = Walker(
            self._agent,
            self._snapshots,
            None,
            None,
            LAZY,
            self._limit,
            subject=subject,
            returns=False,
        )
        before = walker.visit((), [], read=as_seen)
        view = walker.visit((), subjects_turns(), read=as_seen, evidence=True, places=True)
        return reference_of(before, view, subject)

    def run(self, schedule: Schedule, reference: Reference, *, each: bool = False) -> Replayed:
        """One replay; with `each` the rules are read after each step, for its timeline.

        Raises UsageError for a schedule with steps that there are not.
        """
        turns = turns_of(schedule)
        walker = self._walker(lazy_in(schedule))
        view = walker.visit((), turns, read=as_seen, evidence=True, each=each)
        for (actor, asked), made in zip(turns, view["counts"], strict=True):
            if asked is not None and made < asked:
                raise UsageError(
                    f"{schedule}: {ACTORS[actor]} had only {made} of {asked} steps left",
                    "replay it with the same script and kubelet as it was found with",
                )
        ending = ending_of(view)
        outcome = reference.judge_all(ending)
        judged = letter_of(self._subject, self._other)
        steps = timeline(view, outcome, reference.rules, judged) if each else ()
        first, second = sides(self._subject, self._other)
        named = first.name, second.name if second else ACTORS[SCRIPT_ACTOR]
        return Replayed(schedule, view, ending, outcome, steps, named)

    def watch(self, reference: Reference) -> Healed | None:
        """Watch the subject after a replay; None of one that is not to be watched."""
        limit = self._subject.watch
        if not limit:
            return None
        seen = self._agent.ask(Watch(limit), timeout=limit + 2 * self._limit)
        return Healed(seen["looked"], seen["seconds"], reference.judge_all(ending_of(seen)))

    def release(self) -> None:
        """Let everything go, from the pristine state where that is kept."""
        if self._snapshots is not None:
            self._snapshots.restore(PRISTINE)
        self._agent.ask(Release(), timeout=self._limit)

    def _walker(self, lazy: tuple[str, ...]) -> Walker:
        return Walker(
            self._agent,
            self._snapshots,
            self._script or None,
            # Where both families stand in a schedule, it is one of starts that begin with IPv4.
            None if lazy else FIRST,
            lazy,
            self._limit,
            boot=self._boot,
            subject=self._subject,
            other=self._other,
            returns=False,
        )
