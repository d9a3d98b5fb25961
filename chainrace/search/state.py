"""A state of the node between two steps: what everything that follows depends on."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from chainrace.model.actors import (
    ACTORS,
    GROUPS,
    HISTORIES,
    KUBELETS,
    SCRIPT_ACTOR,
    group,
    owner,
)
from chainrace.model.protocol import Place, Stepped, View, Words
from chainrace.model.rules import plain, sections
from chainrace.model.trial import Call
from chainrace.search.step import EVERYTHING, footprint

LOCK = "lock"
PROGRAMS = "programs"
STOPPED = "stopped"
# What a process is said to do that ended because of a step of another actor.
GOES_ON = "goes on"


@dataclass(frozen=True)
class Answer:
    """How a process ended: which step of its actor it was, its exit code, what it told.

    `out` is a digest of what it wrote for its caller; empty where it wrote nothing.
    """

    step: int
    code: int | None
    out: str = ""


@dataclass(frozen=True)
class Made:
    """A step that was made: its lane, its command, and what was answered until it was over.

    Another process's end may come with it: a shell's, a client's of systemd's. `wrote` is a
    digest of the files that the script's processes left changed. `read`: a shell of the script's
    has read by itself a file that a step wrote. `looked`: what a shell was answered that looked by
    itself, without a process, where kubelet's work or the rules may show.
    """

    lane: str
    call: Call
    answers: tuple[Answer, ...] = ()
    wrote: str = ""
    read: bool = field(default=False, compare=False)
    looked: tuple[str, ...] = ()

    def own(self, step: int) -> Answer | None:
        """This step's own answer; None where its process has not ended with it."""
        return next((one for one in self.answers if one.step == step), None)


@dataclass(frozen=True)
class Local:
    """Where an actor is: its history, what it waits for by lane, whether it has ended."""

    histories: Mapping[str, tuple[Made, ...]]
    waiting: Mapping[str, Call]
    ended: Mapping[str, bool]

    @cached_property
    def key(self) -> str:
        """Its identity."""
        return digest([self.histories, self.waiting, self.ended])


@dataclass(frozen=True)
class State:
    """Each actor's history and next steps, whether it has ended; all firewall state.

    `rules` has a digest for each part: `ipv4/filter`, `ipv4/legacy/filter`, `nft/inet mine`,
    `ipset`; `lock`, which says who holds that of iptables; `programs`, what its names mean;
    `stopped` where the script has stopped kubelet.
    """

    histories: Mapping[str, tuple[Made, ...]]
    waiting: Mapping[str, Call]
    ended: Mapping[str, bool]
    rules: Mapping[str, str]

    @cached_property
    def key(self) -> str:
        """The state's identity: the same for the same state, on any node."""
        return digest([*(self.place(name).key for name in GROUPS), self.rules])

    def place(self, lane: str) -> Local:
        """What concerns the actor of a lane alone: kubelet's two lanes stand together."""
        return self._places[group(lane)]

    @cached_property
    def _places(self) -> dict[str, Local]:
        return {
            name: _restricted(Local(self.histories, self.waiting, self.ended), lanes)
            for name, lanes in GROUPS.items()
        }

    def with_place(self, place: Local, lane: str, rules: Mapping[str, str]) -> "State":
        """This state with another place of one actor, and other rules."""
        every = {**self._places, group(lane): place}
        following = State(
            histories={
                name: made for one in every.values() for name, made in one.histories.items()
            },
            waiting={name: call for one in every.values() for name, call in one.waiting.items()},
            ended={name: ended for one in every.values() for name, ended in one.ended.items()},
            rules=rules,
        )
        # They are known, with their keys: cached_property keeps its value there.
        vars(following)["_places"] = every
        return following

    def left(self, families: Sequence[str], lanes: Sequence[str]) -> str:
        """A digest of some families' rules and of some lanes' commands with their answers."""
        rules = {
            name: text
            for name, text in self.rules.items()
            if name.startswith((*families, "nft/", "ipset", STOPPED))
        }
        return digest([rules, [self.histories[lane] for lane in lanes]])

    def differing(self, other: "State") -> tuple[str, ...]:
        """What of two states is not the same: `rules ipv4/filter`, `waiting k`."""
        return tuple(
            f"{part} {name}"
            for part in ("rules", "waiting", "ended", "histories")
            for name in sorted({*getattr(self, part), *getattr(other, part)})
            if getattr(self, part).get(name) != getattr(other, part).get(name)
        )


def digest(value: object) -> str:
    """Sixteen hexadecimal digits that stand for a value of plain data and dataclasses."""
    text = json.dumps(value, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    if isinstance(value, Made):
        # One text for each step that is made: a history has many.
        answers = [vars(one) for one in value.answers]
        return value.lane, _call_key(value.call), answers, value.wrote, value.looked
    return _call_key(value) if isinstance(value, Call) else vars(value)


def _call_key(call: Call) -> list[object]:
    return [
        *(call.actor, call.program, list(call.arguments)),
        *(call.kind, call.foreign, call.input, call.output),
        *(call.exe, call.source, call.target, call.beside),
    ]


class _Histories:
    """The histories that a view's commands make, grown step by step."""

    def __init__(self) -> None:
        self.made: dict[str, list[Made]] = {name: [] for name in HISTORIES}
        # A command's number in the view -> whose history it stands in, and where.
        self._at: dict[int, tuple[str, int]] = {}
        # Steps that are not understood, and whose processes have not ended yet.
        self._go_on: dict[str, set[int]] = {name: set() for name in HISTORIES}

    def add(self, number: int, one: Stepped) -> None:
        """Take in the next command of a view."""
        lane, name = one["lane"], owner(one["lane"])
        mine = self.made[name]
        self._at[number] = name, len(mine)
        told: dict[str, list[Answer]] = {}
        for said in one["answers"]:
            whose, at = self._at[said["step"]]
            told.setdefault(whose, []).append(Answer(at, said["code"], said["out"]))
        looked = tuple(one["looked"])
        call = self.call(one, lane)
        if call.kind != "shell" and name not in KUBELETS and footprint(call) == EVERYTHING:
            self._go_on[name].add(len(mine))
        for whose, answers in told.items():
            self._go_on[whose] -= {said.step for said in answers}
        if name in KUBELETS:
            # It looks at exit codes alone (iptables.go), and each of its processes ends at once.
            mine.append(Made(lane, call, (Answer(len(mine), one["code"]),)))
            if looked:
                told.setdefault(SCRIPT_ACTOR, [])
        else:
            own = tuple(told.pop(name, ()))
            mine.append(Made(lane, call, own, one["wrote"], one["read"], looked))
            looked = ()
        for other, ends in told.items():
            # This step let another actor go on: that is no step of the other's own.
            goes_on = Made(other, Call(other, GOES_ON, ()), tuple(ends), looked=looked)
            self.made[other].append(goes_on)

    def call(self, one: Words, lane: str) -> Call:
        """A command of a lane's, from a view; whether its actor goes on beside it is known here."""
        return replace(Call.of(one), beside=bool(self._go_on[owner(lane)]))

    def waiting(self, look: Place) -> dict[str, Call]:
        """What each lane waits for."""
        return {lane: self.call(words, lane) for lane, words in look["next"].items()}

    def of(self, lane: str) -> dict[str, tuple[Made, ...]]:
        """Those of a lane's actor."""
        return {name: made for name, made in self.all().items() if group(name) == group(lane)}

    def all(self) -> dict[str, tuple[Made, ...]]:
        """Those of all actors."""
        return {name: tuple(made) for name, made in self.made.items()}


def places(view: View) -> list[tuple[str, Local, Local]]:
    """Each step of a view with its lane, and where its actor was before it and after it.

    The view has where every lane stood before each step.
    """
    histories = _Histories()
    found = []
    commands = view["commands"]
    looks = [*(one["before"] or view for one in commands), view]
    for number, one in enumerate(commands):
        lane = one["lane"]
        before = _place(looks[number], histories, lane)
        histories.add(number, one)
        found.append((lane, before, _place(looks[number + 1], histories, lane)))
    return found


def read(view: View, before: State | None, lane: str | None = None) -> State:
    """The state that an agent's `view` with rules shows (chainrace/gate/stepping.py).

    `before` is that state or the one from which its last step was made, None at the start.
    `lane` was to make that step.
    Raises ValueError where the view does not continue that state: then the same
    steps have not led to the same state, and nothing may be concluded.
    """
    histories = _Histories()
    for number, one in enumerate(view["commands"]):
        histories.add(number, one)
    for name, made in (before.histories if before else {}).items():
        mine = histories.made[name]
        for at, known in enumerate(made):
            if at >= len(mine):
                raise ValueError(f"{ACTORS[name]} has not made the steps that it made before")
            if mine[at] != known:
                raise ValueError(f"{_told(mine[at])} where {_told(known)} was known")
    if lane and before and histories.of(lane) == before.place(lane).histories:
        others = ", ".join(f"{one} at {said['program']}" for one, said in view["next"].items())
        wanted = before.waiting[lane]
        raise ValueError(f"{lane} was to make {wanted} and did not ({others or 'nobody waits'})")
    return State(
        histories=histories.all(),
        waiting=histories.waiting(view),
        ended=dict(view["done"]),
        rules=parts(view),
    )


def parts(view: View) -> dict[str, str]:
    """The digest of each part of a view's firewall state."""
    found = {LOCK: view["lock"], PROGRAMS: digest(view["programs"])}
    if view["stopped"]:
        found[STOPPED] = "kubelet"
    for name, text in view["rules"].items():
        if name.startswith(("nft/", "ipset")):
            found[name] = digest(text)
        else:
            for table, section in sections(text).items():
                found[f"{name}/{table}"] = digest(plain(section))
    return found


def _told(made: Made) -> str:
    said = ", ".join(f"{one.code}" + (f" ({one.out})" if one.out else "") for one in made.answers)
    return f"{made.call} ended with {said or 'nothing yet'}"


def _place(look: Place, histories: _Histories, lane: str) -> Local:
    every = Local(
        histories.all(),
        histories.waiting(look),
        dict(look["done"]),
    )
    return _restricted(every, GROUPS[group(lane)])


def _restricted(place: Local, lanes: Collection[str]) -> Local:
    """What of a place concerns some lanes."""
    return Local(
        {name: made for name, made in place.histories.items() if name in lanes},
        {name: call for name, call in place.waiting.items() if name in lanes},
        {name: ended for name, ended in place.ended.items() if name in lanes},
    )
