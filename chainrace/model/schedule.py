"""A schedule: whose step comes when. Its short name is its identity.

`k3 s2 k4 s*` reads: kubelet three steps, the script two, kubelet four, then the
script to its end. Its text says of whom it is, too:
`kubelet beside rule.sh@1a2b3c4d5e6f: k3 s2 k4 s*`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from chainrace.model.actors import group, owner

# k3, s12, s*
TURN = re.compile(r"([a-z])([1-9][0-9]*|\*)")
# kubelet beside rule.sh@1a2b3c4d5e6f, docker beside kubelet
RACE = re.compile(r"(\S+) beside (.+?)(?:@([0-9a-f]{12}))?")
# No script and no start of kubelet makes so many.
MOST_TURNS = 1000
STEP_DIGITS = 6


@dataclass(frozen=True)
class Turn:
    """One actor's steps in a row; `steps` is None for all that it still has."""

    actor: str
    steps: int | None

    def __str__(self) -> str:
        return f"{self.actor}{'*' if self.steps is None else self.steps}"


@dataclass(frozen=True)
class Schedule:
    """Turns in order. Two neighbouring turns are never of the same actor."""

    turns: tuple[Turn, ...]

    def __str__(self) -> str:
        return " ".join(str(turn) for turn in self.turns)

    @property
    def preemptions(self) -> int:
        """How often an actor is stopped although it could go on: counted turns but the last."""
        return sum(turn.steps is not None for turn in self.turns[:-1])


@dataclass(frozen=True)
class Race:
    """Of whom a schedule is: a subject, and the script or the other subject beside it.

    `digest` are twelve hexadecimal digits of the script's SHA-256, empty for a subject.
    """

    subject: str
    other: str
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.subject} beside {self.other}{f'@{self.digest}' if self.digest else ''}"

    def is_of(self, other: Race) -> bool:
        """Whether both are of the same programs; a script may have another name."""
        mine, theirs = self.digest or self.other, other.digest or other.other
        return (self.subject, mine) == (other.subject, theirs)


def parse_text(text: str) -> tuple[Race | None, Schedule]:
    """Read a schedule with or without its race. Raises ValueError for what is none."""
    race, colon, name = text.rpartition(": ")
    if not colon:
        return None, parse(text)
    found = RACE.fullmatch(race)
    if not found:
        raise ValueError(
            f"{race!r} does not say of whom it is: write kubelet beside rule.sh@DIGEST"
        )
    return Race(found[1], found[2], found[3] or ""), parse(name)


def parse(name: str) -> Schedule:
    """Read a schedule's name. Raises ValueError for what is none, saying which part."""
    turns: list[Turn] = []
    ended: set[str] = set()
    parts = name.split()
    if len(parts) > MOST_TURNS:
        raise ValueError(f"{len(parts)} turns are more than a schedule has: {MOST_TURNS}")
    for part in parts:
        found = TURN.fullmatch(part)
        if not found:
            raise ValueError(f"{part!r} is no turn: write an actor and a number or *, as in k3 s*")
        if len(found[2]) > STEP_DIGITS:
            raise ValueError(f"{part} is more steps than anybody makes: write {found[1]}*")
        turn = Turn(found[1], None if found[2] == "*" else int(found[2]))
        if turns and turns[-1].actor == turn.actor:
            raise ValueError(f"{turns[-1]} {turn}: two turns of one actor in a row are one turn")
        if turn.actor in ended:
            raise ValueError(f"{turn}: {turn.actor} has already run to its end")
        if turn.steps is None:
            ended.add(turn.actor)
        turns.append(turn)
    if not turns:
        raise ValueError("a schedule has at least one turn")
    return Schedule(tuple(turns))


def from_steps(actors: tuple[str, ...]) -> Schedule:
    """The schedule of single steps, `("k", "k", "s")`; an actor's last turn is its end.

    Of the script's lanes only `s` has an end, and only where none of the others steps later:
    it stands for all that the script still has.
    """
    runs = [(actor, len(list(steps))) for actor, steps in groupby(actors)]
    if not runs:
        raise ValueError("a schedule has at least one turn")
    last = {group(actor): index for index, (actor, _) in enumerate(runs)}
    return Schedule(
        tuple(
            Turn(actor, None if last[group(actor)] == index and owner(actor) == actor else steps)
            for index, (actor, steps) in enumerate(runs)
        )
    )


def so_far(turns: Sequence[tuple[str, int | None]]) -> str:
    """The text of turns that are no whole schedule yet: `k2 s1`, or that none was made.

    Each is a lane and its steps, None for all that it still has.
    """
    said = []
    for actor, each in groupby(turns, key=lambda turn: turn[0]):
        steps = [number for _, number in each]
        known = [number for number in steps if number is not None]
        said.append(str(Turn(actor, sum(known) if len(known) == len(steps) else None)))
    return " ".join(said) or "no step"


def cost(schedule: Schedule) -> tuple[int, int, int]:
    """What makes a schedule longer: preemptions, turns, steps that are counted."""
    counted = [turn.steps for turn in schedule.turns if turn.steps is not None]
    return len(counted), len(schedule.turns), sum(counted)
