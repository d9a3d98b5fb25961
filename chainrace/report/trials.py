"""The randomized trials on disk: a line each, enough to judge again, and a folder each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from chainrace.base.errors import UsageError
from chainrace.base.files import read_input, write_json
from chainrace.base.text import write
from chainrace.judge.outcome import FamilyOutcome, Outcome
from chainrace.judge.verdict import Judged
from chainrace.model.mode import ENVIRONMENT
from chainrace.model.protocol import TrialSeen
from chainrace.model.rules import FAMILIES
from chainrace.model.trial import Seen
from chainrace.randomized.window import is_hit
from chainrace.report.document import Mode, fault

TRIALS_FILE = "trials.jsonl"
CONSOLE = "console.log"
SEARCH: Literal["search"] = "search"
SAMPLE: Literal["sample"] = "sample"

Script = Literal["original", "fixed"]
Phase = Literal["search", "sample"]
Finite = Annotated[float, Field(allow_inf_nan=False)]
# No trial lasts a day.
Offset = Annotated[float, Field(allow_inf_nan=False, ge=-86_400, le=86_400)]


@dataclass(frozen=True)
class Record:
    """One trial as trials.jsonl keeps it. `offset` in seconds; times in seconds."""

    number: Annotated[int, Field(ge=1, le=10**6)]
    script: Script
    phase: Phase
    offset: Offset
    outcome: Mode | Literal["environment"]
    signature: bool
    hit: bool
    families: dict[str, FamilyOutcome]
    script_code: int | None
    seconds: dict[str, Finite]
    error: str | None
    azure_npm: bool | None = None  # whether it started afterwards; None: not tried
    begun: bool = True  # whether the script had begun; a broken trial may end before

    def judged(self) -> Judged:
        return Judged(
            self.script,
            self.outcome,
            self.signature,
            self.hit,
            self.phase == SAMPLE,
            self.azure_npm,
            self.begun,
        )


def record_of(
    number: int, script: Script, phase: Phase, offset: float, *, seen: Seen, outcome: Outcome
) -> Record:
    """The record of a trial that was seen to its end."""
    return Record(
        number=number,
        script=script,
        phase=phase,
        offset=offset,
        outcome=outcome.name,
        signature=outcome.signature,
        hit=is_hit(seen),
        families=dict(outcome.families),
        script_code=seen.script_code,
        seconds={"first_step": seen.first_step, **seen.phases},
        error=None,
        azure_npm=seen.azure_npm,
    )


def broken_record(
    number: int,
    script: Script,
    phase: Phase,
    offset: float,
    *,
    error: str,
    script_code: int | None,
    begun: bool,
) -> Record:
    """The record of a trial that the environment broke, how, and whether the script had begun."""
    return Record(
        number=number,
        script=script,
        phase=phase,
        offset=offset,
        outcome=ENVIRONMENT,
        signature=False,
        hit=False,
        families={},
        script_code=script_code,
        seconds={},
        error=error,
        begun=begun,
    )


RECORD = TypeAdapter(Record)


def read_trials(folder: Path) -> list[Record]:
    """The records of a run. Raises UsageError for a folder or line that is none.

    A last line without its end counts as none: the run was killed while it wrote it.
    """
    file = folder / TRIALS_FILE
    *lines, _half = read_input(file, "name a results folder", below=folder).split(b"\n")
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(RECORD.validate_json(line, strict=True))
        except ValidationError as error:
            raise UsageError(
                f"{file}:{number} is not a trial: {fault(error)}",
                "remove the line, or run again",
            ) from error
    return records


def write_evidence(folder: Path, answer: TrialSeen, seen: Seen | None, console: str) -> None:
    """Put what a trial left into its folder: also of one that broke."""
    write(folder / "kubelet.log", "\n".join(answer["watch"]["journal"]) + "\n")
    for when, texts in (("before", answer["before"]), ("after", answer["after"])):
        # Not whatever names the node gives: they become names of files here.
        for family in FAMILIES:
            if family in texts:
                write(folder / f"rules-{when}.{family}", texts[family])
    if answer["azure_npm"] is not None:
        write(folder / "azure-npm.log", answer["azure_npm"]["log"])
    write(folder / CONSOLE, console)
    write_json(folder / "watch.json", answer["watch"])
    if seen is not None:
        write(folder / "timeline.txt", "\n".join(timeline(seen)) + "\n")


def timeline(seen: Seen) -> Iterator[str]:
    """Every iptables process of a trial, a line each, times after kubelet's first."""
    yield f"{'start':>8} {'end':>8} code  actor    command"
    for one in seen.commands:
        end = "" if one.ended is None else f"{one.ended:.3f}"
        code = "" if one.code is None else str(one.code)
        words = " ".join((one.program, *one.arguments))
        yield f"{one.started:8.3f} {end:>8} {code:>4}  {one.actor:<8} {words}"


@dataclass(frozen=True)
class Progress:
    """What is told after each trial: what it was, and how far the run is (0 to 1)."""

    record: Record
    done: float
    left_seconds: float | None
