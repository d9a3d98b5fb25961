"""What a step did where it was made: in the same circumstances it does the same again.

What a command does depends on the tables that it touches; where it reads more than its
arguments (a file, a set) also on what its actor has done before. What an actor does next
depends on what it has done before, and on the answers it got. So a step that was made once
on the node stands for all states that differ in nothing else: in the other actor's history,
in other tables. The reduction builds on the same (race/step.py).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from chainrace.gate.backends import OTHER_BACKEND
from chainrace.gate.process import SCRIPT_ACTOR
from chainrace.race.state import Made, State, digest, saw
from chainrace.race.step import footprint, tables, tables_alone
from chainrace.race.trial import Call

Tables = Mapping[str, str | None]  # ipv4/filter -> digest of its rules; None: not there


@dataclass(frozen=True)
class Effect:
    """What a command did: its exit code, and the tables that it may touch afterwards.

    `on` stands for the command and all that this depends on.
    """

    on: str
    code: int
    after: Tables


@dataclass(frozen=True)
class Actor:
    """Where an actor is: its history, its next command, whether it has ended."""

    history: tuple[Made, ...]
    waiting: Call | None
    ended: bool


@dataclass(frozen=True)
class Follow:
    """What comes after an actor's history, for which `history` stands.

    Of kubelet's two actors one waits for the other, the `lazy` one: a step of the other's may
    need it to go on first. `saved` are the files that the script has written by then; the
    two stand apart, as only kubelet's steps concern the one, only the script's the other.
    """

    history: str
    actor: Actor
    lazy: Actor | None
    saved: Mapping[str, str]


@dataclass
class Effects:
    """All that was learned of the steps of kubelet's actor that is explored, and the script's.

    `lazy` is kubelet's other actor.
    """

    lazy: str
    _effects: dict[str, Effect] = field(default_factory=dict)
    _follows: dict[str, Follow] = field(default_factory=dict)

    def keep(self, learned: Effect | Follow) -> None:
        """Take in what was learned before."""
        if isinstance(learned, Effect):
            self._effects[learned.on] = learned
        else:
            self._follows[learned.history] = learned

    def learn(self, origin: State, actor: str, target: State) -> tuple[Effect, Follow]:
        """Take in one step that was made, and return what it tells.

        Raises ValueError where it changed what it cannot have touched, or did something else
        than in the same circumstances before: then nothing may be inferred or left out.
        """
        made = target.histories[actor][-1]
        touched = _touched(made.call)
        effect = Effect(_on(origin, actor, made.call), made.code, _of(target, touched))
        script = actor == SCRIPT_ACTOR
        follow = Follow(
            self._after(origin, actor, made),
            _at(target, actor),
            None if script else _at(target, self.lazy),
            target.saved if script else {},
        )
        if self._put_together(origin, actor, effect, follow).key != target.key:
            changed = [
                name
                for name in sorted({*origin.rules, *target.rules} - touched)
                if origin.rules.get(name) != target.rules.get(name)
            ]
            raise ValueError(
                f"{made.call} changed more than it touches: {', '.join(changed) or 'another actor'}"
            )
        if effect != self._effects.get(effect.on, effect) or (
            follow != self._follows.get(follow.history, follow)
        ):
            raise ValueError(
                f"{made.call} did something else than in the same circumstances before"
            )
        self.keep(effect)
        self.keep(follow)
        return effect, follow

    def infer(self, origin: State, actor: str) -> State | None:
        """The state that an actor's next step leads to; None where that is not known."""
        call = origin.waiting[actor]
        effect = None if call is None else self._effects.get(_on(origin, actor, call))
        if call is None or effect is None:
            return None
        made = Made(call, effect.code, saw(origin, call))
        follow = self._follows.get(self._after(origin, actor, made))
        if follow is None:
            return None
        return self._put_together(origin, actor, effect, follow)

    def _put_together(self, origin: State, actor: str, effect: Effect, follow: Follow) -> State:
        moved = {actor: follow.actor}
        if follow.lazy is not None:
            moved[self.lazy] = follow.lazy
        rules = {**origin.rules, **effect.after}
        return State(
            histories={**origin.histories, **{one: at.history for one, at in moved.items()}},
            waiting={**origin.waiting, **{one: at.waiting for one, at in moved.items()}},
            ended={**origin.ended, **{one: at.ended for one, at in moved.items()}},
            rules={name: text for name, text in rules.items() if text is not None},
            saved=follow.saved if actor == SCRIPT_ACTOR else origin.saved,
        )

    def _after(self, origin: State, actor: str, made: Made) -> str:
        lazy = () if actor == SCRIPT_ACTOR else origin.histories[self.lazy]
        return digest([actor, lazy, *origin.histories[actor], made])


def _on(origin: State, actor: str, call: Call) -> str:
    # The same file may hold something else in a script's other branch.
    more = () if tables_alone(call) else (actor, origin.histories[actor], origin.saved)
    return digest([call, _of(origin, _touched(call)), more])


def _touched(call: Call) -> frozenset[str]:
    """The tables that a command may touch, in either backend."""
    named = tables(footprint(call))
    return named.union(
        *({name.replace("/", f"/{backend}/") for name in named} for backend in OTHER_BACKEND)
    )


def _at(state: State, actor: str) -> Actor:
    return Actor(state.histories[actor], state.waiting[actor], state.ended[actor])


def _of(state: State, names: Iterable[str]) -> Tables:
    return {name: state.rules.get(name) for name in names}
