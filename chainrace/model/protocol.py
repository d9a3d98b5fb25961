"""What the lab asks a node, and what the node answers: the types of both ends.

A request goes as one line of JSON, its fields with its name as `do`; the answer comes as one line,
`ok` with the answer's data, or `error` with a sentence. It runs on the node's own Python (3.9).
mypy holds the lab to the types, and the node's requests; that the node's views are so, unit tests
say. Of what comes over the line only the names of requests and of their fields are checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Generic, Optional, TypedDict, TypeVar

A = TypeVar("A")
Turn = tuple[str, Optional[int]]  # a lane and how many steps; None: all that it still has
Turns = list[Turn]
Texts = dict[str, str]  # part of the rules -> its text: ipv4, ipv6, nft/inet mine, ipset


class Request(Generic[A]):
    """What the node is asked; `A` is the type of its answer."""


class Unit(TypedDict):
    """A subject as the gate must know it: a unit, the user's commands, its own programs."""

    name: str
    unit: str
    done: str
    check: str
    programs: list[str]


class Words(TypedDict):
    """A command as it waits at the gate (model/trial.py has what each field means)."""

    actor: str
    program: str
    arguments: list[str]
    kind: str
    foreign: bool
    input: str
    output: str
    exe: str
    source: str
    target: str


class Answered(TypedDict):
    """How a process ended: the number of its step, its exit code, a digest of what it wrote."""

    step: int
    code: int | None
    out: str


class Place(TypedDict):
    """What each lane waits for, and which have ended."""

    next: dict[str, Words]
    done: dict[str, bool]


class Stepped(Words):
    """A command that was let go, as a step of a lane. Times are CLOCK_MONOTONIC seconds.

    `before` is where every lane stood, None unless it was asked for.
    """

    pid: int
    started: float
    ended: float | None
    code: int | None
    lane: str
    before: Place | None
    answers: list[Answered]
    wrote: str
    read: bool
    looked: list[str]


class RulesSeen(TypedDict, total=False):
    """All firewall state, who holds iptables' lock, what programs' names mean; if asked for."""

    rules: Texts
    lock: str
    programs: list[str]


class EvidenceSeen(TypedDict, total=False):
    """What an end is judged by besides its rules, if asked for.

    `guard` are ports of 127.0.0.1 that a neighbour reaches, `check` the exit code of the user's
    command.
    """

    journal: list[str]
    guard: list[int]
    check: int


class EachSeen(TypedDict, total=False):
    """Of a replay step by step, added by the lab: the rules after each step, and before the first.

    With how many commands there were then.
    """

    left: list[tuple[int, Texts]]


class View(Place, RulesSeen, EvidenceSeen, EachSeen):
    """What a walk made, and what can be seen after it.

    `made` are the lanes of the steps, `counts` how many each turn made. `words` says of each
    family whether the subject's start came to its end: `initialised` or `failed`. `beginning` and
    `reading` are seconds. `doubts` are sentences on why nothing is proved.
    """

    made: list[str]
    counts: list[int]
    commands: list[Stepped]
    first_family: str | None
    restarts: int
    stopped: bool
    words: dict[str, str]
    script_code: int | None
    beginning: float
    doubts: list[str]
    reading: float


class Watched(EvidenceSeen):
    """What is left when a subject was watched for so many seconds; all evidence is there.

    `looked` says by family whether it looked at its rules, as far as that can be seen.
    """

    looked: dict[str, bool]
    seconds: float
    words: dict[str, str]
    rules: Texts


class Ran(Words):
    """A command of a randomized trial. Times are CLOCK_MONOTONIC seconds."""

    pid: int
    started: float
    ended: float | None
    code: int | None


class Raced(TypedDict):
    """What one trial has seen. Times are CLOCK_MONOTONIC seconds, None for what never came."""

    started: float
    first_step: float | None
    script_started: float | None
    script_ended: float | None
    script_code: int | None
    settled: float | None
    words: dict[str, str]
    commands: list[Ran]
    journal: list[str]


class Consumed(TypedDict):
    """How azure-npm ended, None where it did not, and its log."""

    code: int | None
    log: str


class TrialSeen(TypedDict):
    """One trial: `error` says why the environment broke; the rules before and after it.

    `phases` are the seconds of its parts; there are none where it broke.
    """

    error: str | None
    before: Texts
    after: Texts
    azure_npm: Consumed | None
    phases: dict[str, float]
    watch: Raced


@dataclass(frozen=True)
class Clean(Request[Texts]):
    """Record the rules as they are as the clean state, by family."""


@dataclass(frozen=True)
class Rules(Request[Texts]):
    """The rules now, as iptables-save texts by family."""


@dataclass(frozen=True)
class Tables(Request["dict[str, dict[str, list[str]]]"]):
    """The tables there are, by family and backend."""


@dataclass(frozen=True)
class Generation(Request[int]):
    """The number of nf_tables' last change."""


@dataclass(frozen=True)
class Trial(Request["TrialSeen"]):
    """One randomized trial (gate/trial.py); model/trial.py reads what it saw.

    `script` is a path on the node, None for a clean start; `delay` and `limit` are seconds.
    """

    script: str | None
    delay: float
    limit: float
    azure_npm: bool


@dataclass(frozen=True)
class Arm(Request[None]):
    """Bring the node to its clean state, all actors held at their start.

    `script` is a file on the node; `other` a unit in its place; without both the subject starts
    alone. `program` is a subject in kubelet's place. With `judges_other` an end is judged by what
    became of `other`, not of the subject. A `lazy` lane of kubelet's steps only where the other one
    cannot go on before it, or where it is told to. `limit` in seconds is for each wait. With `boot`
    it all begins before iptables.service has been started. `fresh`: the node is in its clean state
    already (a restored snapshot).
    """

    script: str | None
    lazy: list[str]
    limit: float
    boot: bool
    fresh: bool
    program: Unit | None = None
    other: Unit | None = None
    judges_other: bool = False


@dataclass(frozen=True)
class Walk(Request[View]):
    """Let lanes step, turn by turn; show what can be seen then.

    `entropy`, in hexadecimal, is what kubelet's start draws from. `rules_too`, `evidence` and
    `places` ask for those parts of the view. A turn of so many steps makes none after so many
    `seconds`; one of all that a lane still has takes its time.
    """

    turns: Turns
    entropy: str
    seconds: float | None
    rules_too: bool
    evidence: bool
    places: bool


@dataclass(frozen=True)
class Watch(Request[Watched]):
    """Let everything run until kubelet's Monitor has looked, `limit` seconds at most.

    Of another subject nobody can see when it looks: it has all of the time.
    """

    limit: float


@dataclass(frozen=True)
class Release(Request[None]):
    """Let all go that is held, and bring the clean state back."""


@dataclass(frozen=True)
class Leave(Request[None]):
    """Let all go that is held, and leave what runs running: kubelet is the node's again."""


@dataclass(frozen=True)
class Clock(Request[None]):
    """Set the node's clock to `now`, in seconds since 1970: a restored snapshot has its own."""

    now: float


@dataclass(frozen=True)
class Break(Request[None]):
    """Break off what is under way: that it came at all does so."""


ALL = (Clean, Rules, Tables, Generation, Trial, Arm, Walk, Watch, Release, Leave, Clock, Break)
BY_NAME = {one.__name__.lower(): one for one in ALL}


def name_of(request: Request[Any]) -> str:
    """What a request is called on the line: `walk`."""
    return type(request).__name__.lower()


def to_line(request: Request[Any]) -> dict[str, Any]:
    """A request as data for JSON."""
    return {"do": name_of(request), **asdict(request)}  # type: ignore[call-overload]


def from_line(data: Mapping[str, Any]) -> Request[Any]:
    """A request as it came. Raises ValueError for what is none."""
    words = dict(data)
    kind = BY_NAME.get(words.pop("do", ""))
    if kind is None:
        raise ValueError(f"unknown request {data.get('do')!r}")
    known = {one.name for one in fields(kind)}
    if strange := words.keys() - known:
        raise ValueError(f"{data['do']} knows no {', '.join(sorted(strange))}")
    try:
        return kind(**words)
    except TypeError as error:
        raise ValueError(f"{data['do']} is not complete: {error}") from error
