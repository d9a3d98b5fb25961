"""A state of the node between two steps: what everything that follows depends on."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from chainrace.model.actors import (
    ACTOR_OF,
    ACTORS,
    HISTORIES,
    KUBELETS,
    SCRIPT_ACTOR,
    SCRIPT_LANES,
    owner,
)
from chainrace.model.rules import plain, sections
from chainrace.model.trial import Call

LOCK = "lock"
PROGRAMS = "programs"
STOPPED = "stopped"
# A process of the script's ended because of a step of another actor.
GOES_ON = Call(SCRIPT_ACTOR, "goes on", ())


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
        return digest([self._kubelets.key, self._scripts.key, self.rules])

    def place(self, lane: str) -> Local:
        """What concerns the actor of a lane alone: kubelet's two lanes stand together."""
        return self._kubelets if lane in KUBELETS else self._scripts

    @cached_property
    def _kubelets(self) -> Local:
        return self._of(set(KUBELETS))

    @cached_property
    def _scripts(self) -> Local:
        return self._of(set(SCRIPT_LANES))

    def _of(self, mine: set[str]) -> Local:
        return Local(
            {name: made for name, made in self.histories.items() if name in mine},
            {name: call for name, call in self.waiting.items() if name in mine},
            {name: ended for name, ended in self.ended.items() if name in mine},
        )

    def with_place(self, place: Local, lane: str, rules: Mapping[str, str]) -> "State":
        """This state with another place of one actor, and other rules."""
        moved, other = ("_kubelets", "_scripts") if lane in KUBELETS else ("_scripts", "_kubelets")
        stays: Local = getattr(self, other)
        following = State(
            histories={**stays.histories, **place.histories},
            waiting={**stays.waiting, **place.waiting},
            ended={**stays.ended, **place.ended},
            rules=rules,
        )
        # Both are known, with their keys: cached_property keeps its value there.
        vars(following).update({moved: place, other: stays})
        return following

    def left(self, families: Sequence[str]) -> str:
        """A digest of some families' rules and of kubelet's commands with their exit codes."""
        rules = {
            name: text
            for name, text in self.rules.items()
            if name.startswith((*families, "nft/", "ipset", STOPPED))
        }
        mine = [self.histories[ACTOR_OF[family]] for family in families]
        return digest([rules, mine])

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
        *(call.exe, call.source, call.target),
    ]


def lane_of(call: Call) -> str:
    """The lane in whose history a command stands, where nobody has said it."""
    if call.actor != "kubelet":
        return SCRIPT_ACTOR
    return "x" if call.family == "ipv6" else "k"


class _Histories:
    """The histories that a view's commands make, grown step by step."""

    def __init__(self) -> None:
        self.made: dict[str, list[Made]] = {name: [] for name in HISTORIES}
        self._at: dict[int, int] = {}  # a command's number in the view -> in its history

    def add(self, number: int, one: Mapping[str, Any]) -> None:
        """Take in the next command of a view."""
        lane, name = one["lane"], owner(one["lane"])
        mine = self.made[name]
        self._at[number] = len(mine)
        answers = tuple(
            Answer(self._at[said["step"]], said["code"], said["out"]) for said in one["answers"]
        )
        looked = tuple(one["looked"])
        if name == SCRIPT_ACTOR:
            mine.append(Made(lane, Call.of(one), answers, one["wrote"], one["read"], looked))
            return
        # kubelet looks at exit codes alone (iptables.go), and each of its processes ends at once.
        mine.append(Made(lane, Call.of(one), (Answer(len(mine), one["code"]),)))
        if answers or looked:
            # kubelet's step let the script go on: that is no step of the script's own.
            self.made[SCRIPT_ACTOR].append(Made(SCRIPT_ACTOR, GOES_ON, answers, looked=looked))

    def of(self, lane: str) -> dict[str, tuple[Made, ...]]:
        """Those of a lane's actor."""
        names = KUBELETS if lane in KUBELETS else (SCRIPT_ACTOR,)
        return {name: tuple(self.made[name]) for name in names}


def places(view: Mapping[str, Any]) -> list[tuple[str, Local, Local]]:
    """Each step of a view with its lane, and where its actor was before it and after it."""
    histories = _Histories()
    found = []
    commands = view["commands"]
    looks = [*(one["before"] for one in commands), view]
    for number, one in enumerate(commands):
        lane = one["lane"]
        before = _place(looks[number], histories, lane)
        histories.add(number, one)
        found.append((lane, before, _place(looks[number + 1], histories, lane)))
    return found


def read(view: Mapping[str, Any], before: State | None, lane: str | None = None) -> State:
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
        histories={name: tuple(made) for name, made in histories.made.items()},
        waiting={lane: Call.of(words) for lane, words in view["next"].items()},
        ended=dict(view["done"]),
        rules=parts(view),
    )


def parts(view: Mapping[str, Any]) -> dict[str, str]:
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


def _place(look: Mapping[str, Any], histories: _Histories, lane: str) -> Local:
    mine = set(KUBELETS) if lane in KUBELETS else set(SCRIPT_LANES)
    return Local(
        histories.of(lane),
        {name: Call.of(words) for name, words in look["next"].items() if name in mine},
        {name: ended for name, ended in look["done"].items() if name in mine},
    )
