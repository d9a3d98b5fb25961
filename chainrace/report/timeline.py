"""The steps of a finding's last replay: read from its evidence, and laid out as a picture.

`steps.json` in a finding's folder has every step, in the order of execution.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from chainrace.base.errors import UsageError
from chainrace.base.files import read_input
from chainrace.model.actors import ACTORS
from chainrace.report.document import fault
from chainrace.report.trials import Finite
from chainrace.report.verdict import REMEDY

NAME = "steps.json"
SCHEMA: Literal[1] = 1
FINDINGS = "findings"
# 58 commands and thousands of rules are far below it; a page must stay one that a phone opens.
MOST_BYTES = 4 * 2**20
MOST_STEPS = 5_000
# There are fewer failure modes, and their combinations that matter to kubelet's Monitor.
MOST_FINDINGS = 200
# No replay lasts so long.
MOST_SECONDS = 10**6

# In the picture's own units, which are a browser's pixels.
GAP, TURN = 4, 18  # between two boxes of one lane; where another lane goes on
BOX, LEAST_WIDTH, LETTER, PADDING = 40, 34, 7, 18
TITLE, BELOW = 22, 12  # a lane's name above its boxes; what is free below them
MARGIN = 8

Seconds = Annotated[Finite, Field(ge=0, le=MOST_SECONDS)]


@dataclass(frozen=True)
class Step:
    """One process. Seconds are since the first step; `ends` and `code` may not be known.

    `added` and `removed` are rules, `ipv4 filter -A INPUT -j KUBE-FIREWALL`. `harms`: the script
    took away what kubelet's clean start had set, or opened the guard. `fails`: by its failure
    kubelet's initialisation ended.
    """

    lane: Annotated[str, Field(pattern=r"^[a-z]$")]
    actor: str
    command: str
    code: Annotated[int, Field(ge=-(2**31), lt=2**31)] | None
    begins: Seconds
    ends: Seconds | None
    added: tuple[str, ...]
    removed: tuple[str, ...]
    harms: bool
    fails: bool

    @property
    def changes(self) -> str:
        """How many rules it added and removed, `+1 -4`; empty where it changed none."""
        counts = (("+", len(self.added)), ("-", len(self.removed)))
        return " ".join(f"{sign}{count}" for sign, count in counts if count)

    @property
    def letters(self) -> int:
        """How long its texts are."""
        return sum(map(len, (self.actor, self.command, *self.added, *self.removed)))

    @property
    def ended(self) -> str:
        """How it ended, as one says it."""
        return "no exit code: it had not ended" if self.code is None else f"exit code {self.code}"


@dataclass(frozen=True)
class _Steps:
    schema: Literal[1]
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MOST_STEPS)]


STEPS = TypeAdapter(_Steps)


def read(folder: Path, evidence: Path) -> tuple[Step, ...]:
    """The steps in a folder of evidence, which lies in a results folder of anybody's.

    Raises UsageError where there are none, or no sound ones.
    """
    file = evidence / NAME
    data = read_input(file, REMEDY, below=folder)
    if len(data) > MOST_BYTES:
        raise UsageError(f"{file} is larger than {MOST_BYTES // 2**20} MiB", REMEDY)
    try:
        return STEPS.validate_json(data, strict=True).steps
    except ValidationError as error:
        raise UsageError(f"{file} has no steps: {fault(error)}", REMEDY) from error


def kept(folder: Path) -> Iterator[tuple[str, tuple[Step, ...]]]:
    """All timelines of a results folder, each with its folder's name in there."""
    try:
        places = sorted((folder / FINDINGS).iterdir())
    except OSError:
        return
    for place in places[:MOST_FINDINGS]:
        with suppress(UsageError):
            yield f"{FINDINGS}/{place.name}", read(folder, place)


@dataclass(frozen=True)
class Lane:
    """One actor's row: what it is called, and where its boxes are."""

    letter: str
    title: str
    y: int


@dataclass(frozen=True)
class Box:
    """One step in its lane: `k5`, where it stands, and what is written in it."""

    name: str
    step: Step
    x: int
    y: int
    width: int

    @property
    def mark(self) -> str:
        """What it did, in words and a sign, where it is one of those that count."""
        return "✕ harms" if self.step.harms else "! fails" if self.step.fails else ""

    @property
    def lines(self) -> tuple[str, str]:
        """What is written in it."""
        return f"{self.name} {self.mark}".rstrip(), self.step.changes

    @property
    def said(self) -> str:
        """The box in words."""
        actor = ACTORS.get(self.step.lane, self.step.actor)
        changed = f"rules {self.step.changes}" if self.step.changes else ""
        parts = (f"{self.name}, {actor}", self.step.ended, changed, self.mark[2:])
        return "; ".join(filter(None, parts))


@dataclass(frozen=True)
class Picture:
    """A timeline: a lane for each actor, and a box for each step, from left to right.

    `turns` are where another lane goes on: x, and both lanes' middles. `chosen` is the number of
    the box to look at first.
    """

    lanes: tuple[Lane, ...]
    boxes: tuple[Box, ...]
    turns: tuple[tuple[int, int, int], ...]
    width: int
    height: int
    chosen: int


def lay_out(steps: Sequence[Step]) -> Picture:
    """Place steps, of which there is at least one, side by side in the order of execution."""
    # Kubelet's lanes first, as ACTORS has them.
    there = dict.fromkeys(step.lane for step in steps)
    letters = [*(one for one in ACTORS if one in there), *sorted(there.keys() - ACTORS.keys())]
    tall = TITLE + BOX + BELOW
    lanes = tuple(
        Lane(letter, f"{letter}: {ACTORS.get(letter, _actor(steps, letter))}", number * tall)
        for number, letter in enumerate(letters)
    )
    tops = {lane.letter: lane.y + TITLE for lane in lanes}
    counts = dict.fromkeys(letters, 0)
    boxes: list[Box] = []
    turns = []
    x = MARGIN
    for before, step in zip((None, *steps), steps, strict=False):
        counts[step.lane] += 1
        top = tops[step.lane]
        if before is not None:
            x += GAP if before.lane == step.lane else TURN
        if before is not None and before.lane != step.lane:
            turns.append((x - TURN // 2, tops[before.lane] + BOX // 2, top + BOX // 2))
        box = Box(f"{step.lane}{counts[step.lane]}", step, x, top, LEAST_WIDTH)
        needed = PADDING + LETTER * max(map(len, box.lines))
        boxes.append(replace(box, width=max(box.width, needed)))
        x += boxes[-1].width
    return Picture(lanes, tuple(boxes), tuple(turns), x + MARGIN, tall * len(lanes), _chosen(steps))


def _actor(steps: Sequence[Step], letter: str) -> str:
    return next(step.actor for step in steps if step.lane == letter)


def _chosen(steps: Sequence[Step]) -> int:
    """The first step that does harm, else the one that fails, else the first of all."""
    wanted = [n for n, one in enumerate(steps) if one.harms]
    wanted += [n for n, one in enumerate(steps) if one.fails]
    return wanted[0] if wanted else 0
