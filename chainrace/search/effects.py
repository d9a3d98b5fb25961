"""What a step did where it was made: in the same circumstances it does the same again.

What a command does depends on the tables that it touches; where it reads more than its
arguments (a file, a pipe, a set) also on what its actor has done before; where it is not
understood on everything. What an actor does next depends on what it has done before, and on
the answers it got. So a step that was made once on the node stands for all states that differ
in nothing of that: in the other actor's history, in other tables.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from chainrace.model.actors import GROUPS, KUBELETS, LANES, group, owner
from chainrace.model.backends import OTHER_BACKEND
from chainrace.model.trial import Call
from chainrace.search.footprints import Footprints
from chainrace.search.state import LOCK, PROGRAMS, Answer, Local, Made, State, digest
from chainrace.search.step import EVERYTHING, LIVES, tables

Parts = Mapping[str, str | None]  # ipv4/filter -> digest of its rules; None: not there


class ContradictionError(Exception):
    """A step changed what it cannot touch, as far as it is understood: `call` says which."""

    def __init__(self, call: Call, changed: str) -> None:
        super().__init__(f"{call} changed more than it touches: {changed}")
        self.call = call


class DiffersError(Exception):
    """A step did something else than in the same circumstances before."""


@dataclass(frozen=True)
class Effect:
    """What a command did: its answer, and the parts that it may touch afterwards.

    `on` stands for the command and all that this depends on. `code` is None where its process
    goes on after the step. `wrote` is empty where what is written follows from the place alone.
    """

    on: str
    code: int | None
    out: str
    wrote: str
    after: Parts


@dataclass(frozen=True)
class Follow:
    """Where an actor is after a step: `history` stands for all that it did, with the answers.

    `lock`: who holds that of iptables then, where the actor is not kubelet.
    """

    history: str
    place: Local
    lock: str | None


@dataclass(frozen=True)
class Whole:
    """What a step that touches everything led to: from one state to another, whole."""

    edge: str
    target: State


@dataclass
class Effects:
    """All that was learned of the steps that were made."""

    footprints: Footprints
    _effects: dict[str, Effect] = field(default_factory=dict)
    _follows: dict[str, Follow] = field(default_factory=dict)
    _wholes: dict[str, Whole] = field(default_factory=dict)

    def keep(self, learned: "Effect | Follow | Whole") -> None:
        """Take in what was learned before."""
        if isinstance(learned, Effect):
            self._effects[learned.on] = learned
        elif isinstance(learned, Follow):
            self._follows[learned.history] = learned
        else:
            self._wholes[learned.edge] = learned

    def learn(
        self, origin: State, lane: str, target: State
    ) -> "tuple[Effect | Follow | Whole, ...]":
        """Take in one step that was made, and return what it tells.

        Raises ContradictionError where it changed what it cannot have touched, DiffersError
        where it did something else than in the same circumstances before: then nothing may be
        inferred from it.
        """
        name = owner(lane)
        at = len(origin.histories[name])
        made = target.histories[name][at]
        along = _along(origin, lane, target)
        self.footprints.join(made.call, (one.call for one in along))
        if self.footprints.of(made.call) == EVERYTHING:
            whole = Whole(_edge(origin, lane), target)
            if self._wholes.get(whole.edge, whole) != whole:
                raise DiffersError(f"{made.call} did something else in the same state before")
            self.keep(whole)
            return (whole,)
        own = made.own(at) or Answer(at, None)
        if along:
            own = replace(own, out=digest(along))
        touched = self._touched(made.call, {*origin.rules, *target.rules})
        wrote = "" if self.footprints.by_tables_alone(made.call) else made.wrote
        effect = Effect(
            self._on(origin, lane, made.call), own.code, own.out, wrote, _of(target.rules, touched)
        )
        follow = Follow(
            self._after(origin, lane, made.call, own, wrote),
            target.place(lane),
            None if lane in KUBELETS else target.rules.get(LOCK),
        )
        if _put_together(origin, lane, effect, follow).key != target.key:
            changed = [
                part
                for part in sorted({*origin.rules, *target.rules} - touched)
                if origin.rules.get(part) != target.rules.get(part)
            ]
            raise ContradictionError(made.call, ", ".join(changed) or "another actor")
        if differs := (
            _did_else(self._effects.get(effect.on, effect), effect)
            or _went_else(self._follows.get(follow.history, follow), follow)
        ):
            raise DiffersError(
                f"{made.call} did something else in the same circumstances before: {differs}"
            )
        self.keep(effect)
        self.keep(follow)
        return effect, follow

    def infer(self, origin: State, lane: str) -> State | None:
        """The state that a lane's next step leads to; None where that is not known."""
        call = origin.waiting.get(lane)
        if call is None:
            return None
        if self.footprints.of(call) == EVERYTHING:
            whole = self._wholes.get(_edge(origin, lane))
            return None if whole is None else whole.target
        effect = self._effects.get(self._on(origin, lane, call))
        if effect is None:
            return None
        own = Answer(len(origin.histories[owner(lane)]), effect.code, effect.out)
        follow = self._follows.get(self._after(origin, lane, call, own, effect.wrote))
        if follow is None:
            return None
        return _put_together(origin, lane, effect, follow)

    def _on(self, origin: State, lane: str, call: Call) -> str:
        touched = _of(origin.rules, self._touched(call, origin.rules) | {LOCK, PROGRAMS})
        hidden = self._hidden(origin, lane)
        if self.footprints.by_tables_alone(call):
            return digest([call, touched, hidden])
        # What it reads from files and pipes its own actor has written, and knows.
        own = origin.place(lane).key
        return digest([call, touched, lane, hidden, own, self._seen_of_others(origin, lane, call)])

    def _after(self, origin: State, lane: str, call: Call, own: Answer, wrote: str) -> str:
        # What is executed next goes by what the names of programs mean.
        programs = origin.rules.get(PROGRAMS)
        made = Made(lane, call, (own,), wrote)
        lock = origin.rules.get(LOCK)
        return digest([origin.place(lane).key, made, programs, lock, self._hidden(origin, lane)])

    def _hidden(self, origin: State, lane: str) -> list[Made]:
        """What others have done that is not understood: an actor may go on otherwise after it."""
        return [
            made
            for name in LANES
            if name != owner(lane)
            for made in origin.histories[name]
            if self.footprints.of(made.call) == EVERYTHING
        ]

    def _seen_of_others(self, origin: State, lane: str, call: Call) -> list[str]:
        """Where other actors are, as far as a command may see that: kubelet's see nothing of it.

        One that looks at a subject sees where that is; of a file another actor may be the writer.
        """
        made = self.footprints.of(call)
        every = made.reads | made.writes
        if lane in KUBELETS or not every & (LIVES | {"files"}):
            return []
        return [
            origin.place(other).key if every & LIVES or self._writes_files(origin, other) else ""
            for other in GROUPS
            if other != group(lane)
        ]

    def _writes_files(self, origin: State, name: str) -> bool:
        """Whether an actor has written files so far, as far as is known."""
        return name in LANES and any(
            made.wrote
            or made.call.output == "file"
            or "files" in self.footprints.of(made.call).writes
            for made in origin.histories[name]
        )

    def _touched(self, call: Call, parts: Iterable[str]) -> frozenset[str]:
        """Which parts a command may touch, in either backend, of those that there are."""
        made = self.footprints.of(call)
        named = tables(made)
        both = named.union(
            *({name.replace("/", f"/{backend}/") for name in named} for backend in OTHER_BACKEND)
        )
        other = made.reads | made.writes
        return both | {
            part
            for part in parts
            if (part.startswith("nft/") and "nft" in other) or (part == "ipset" and "sets" in other)
        }


def _along(origin: State, lane: str, target: State) -> list[Made]:
    """What of kubelet's other lane came along with a step."""
    return [
        made
        for other in KUBELETS
        if other != lane and lane in KUBELETS
        for made in target.histories[other][len(origin.histories[other]) :]
    ]


def _put_together(origin: State, lane: str, effect: Effect, follow: Follow) -> State:
    rules: dict[str, str | None] = {**origin.rules, **effect.after}
    if follow.lock is not None:
        rules[LOCK] = follow.lock
    return origin.with_place(
        follow.place, lane, {name: text for name, text in rules.items() if text is not None}
    )


def _did_else(before: Effect, now: Effect) -> str:
    """What a command did otherwise than before, in words; empty where nothing."""
    if before == now:
        return ""
    if before.code != now.code:
        return f"it ended with {_ended(now.code)}, before with {_ended(before.code)}"
    parts = [
        part
        for part in sorted({*before.after, *now.after})
        if before.after.get(part) != now.after.get(part)
    ]
    return f"it left other rules: {', '.join(parts)}" if parts else "it wrote something else"


def _ended(code: int | None) -> str:
    return "nothing yet" if code is None else str(code)


def _went_else(before: Follow, now: Follow) -> str:
    """How an actor went on otherwise than before, in words; empty where it did not."""
    if before == now:
        return ""
    for lane in sorted({*before.place.waiting, *now.place.waiting}):
        one, other = before.place.waiting.get(lane), now.place.waiting.get(lane)
        if one != other:
            return f"{lane} then waits for {other or 'nothing'}, before for {one or 'nothing'}"
    if before.place.ended != now.place.ended:
        return "the actor has ended once, and once not"
    if before.lock != now.lock:
        return "the lock of iptables was held by another"
    return "another process of the actor was answered otherwise, or ended with it"


def _edge(origin: State, lane: str) -> str:
    return digest([origin.key, lane])


def _of(rules: Mapping[str, str], names: Iterable[str]) -> Parts:
    return {name: rules.get(name) for name in names}
