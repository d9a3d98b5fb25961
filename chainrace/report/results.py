"""The results folder: written while trials run, read to judge them again.

results/<UTC time>/verdict.json      the one truth
                   trials.jsonl      a line a trial, enough to judge again
                   reference/        kubelet's clean start
                   force.json        the fixed script in all interleavings
                   trials/<n>-<script>/  kubelet.log, rules, timeline, console.log
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from chainrace.errors import UsageError
from chainrace.files import write_json
from chainrace.race.force import Explored, with_force
from chainrace.race.outcome import Name, Outcome
from chainrace.race.trial import Seen
from chainrace.race.verdict import Arm, Judged, Verdict, decide
from chainrace.race.window import is_hit
from chainrace.report.folder import Folder
from chainrace.report.force import explored_json

SCHEMA = 1
SEARCH: Literal["search"] = "search"
SAMPLE: Literal["sample"] = "sample"

Script = Literal["original", "fixed"]
Phase = Literal["search", "sample"]


@dataclass(frozen=True)
class Record:
    """One trial as trials.jsonl keeps it. `moment` in seconds; times in seconds."""

    number: int
    script: Script
    phase: Phase
    moment: float
    outcome: Name
    signature: bool
    hit: bool
    families: dict[str, dict[str, Any]]
    script_code: int | None
    seconds: dict[str, float]
    error: str | None
    azure_npm: bool | None = None  # whether it started afterwards; None: not tried

    def judged(self) -> Judged:
        return Judged(
            self.script,
            self.outcome,
            self.signature,
            self.hit,
            self.phase == SAMPLE,
            self.azure_npm,
        )


def record_of(
    number: int, script: Script, phase: Phase, moment: float, *, seen: Seen, outcome: Outcome
) -> Record:
    """The record of a trial that was seen to its end."""
    return Record(
        number=number,
        script=script,
        phase=phase,
        moment=moment,
        outcome=outcome.name,
        signature=outcome.signature,
        hit=is_hit(seen),
        families={name: asdict(family) for name, family in outcome.families.items()},
        script_code=seen.script_code,
        seconds={"first_step": seen.first_step, **seen.phases},
        error=None,
        azure_npm=seen.azure_npm,
    )


RECORD = TypeAdapter(Record)
FORCE = "force.json"


@dataclass(frozen=True)
class Word:
    """What of force.json a verdict needs."""

    word: Literal["harmless", "harmful", "unfinished"]
    reason: str


WORD = TypeAdapter(Word)


class ResultsFolder(Folder):
    """One run's folder. Every trial is on disk before the next one starts."""

    def add(self, record: Record) -> Path:
        """Append a trial to trials.jsonl; returns the folder for its evidence."""
        with (self.path / "trials.jsonl").open("a") as file:
            file.write(json.dumps(asdict(record)) + "\n")
        folder = self.path / "trials" / f"{record.number:04d}-{record.script}"
        folder.mkdir(parents=True)
        return folder

    def reference(self) -> Path:
        """The folder for the reference's evidence."""
        folder = self.path / "reference"
        folder.mkdir(exist_ok=True)
        return folder

    def force(self, explored: Explored) -> None:
        """Keep what force showed of the fixed script, for this verdict and a later one."""
        write_json(self.path / FORCE, explored_json(explored))

    def conclude(self, verdict: Verdict, node: dict[str, Any], *, interrupted: bool) -> None:
        """Write verdict.json, whole or not at all."""
        forced = self.path / FORCE
        write_json(
            self.path / "verdict.json",
            {
                "schema": SCHEMA,
                "verdict": verdict.word,
                "reason": verdict.reason,
                "interrupted": interrupted,
                "p": verdict.p,
                "environment": verdict.environment,
                "scripts": {
                    "original": arm_json(verdict.original),
                    "fixed": arm_json(verdict.fixed),
                },
                "force": json.loads(forced.read_text()) if forced.exists() else None,
                "node": node,
            },
        )


def arm_json(arm: Arm) -> dict[str, Any]:
    """One script's part of verdict.json. `rate` is that of all failures."""
    return {
        "trials": arm.trials,
        "outcomes": arm.outcomes,
        "rate": arm.rate.value,
        "rate_low": arm.rate.low,
        "rate_high": arm.rate.high,
        "any_failure_upper_bound": arm.clean_bound,
        "window_hits": arm.hits,
        "azure_npm": {"tried": arm.azure_npm_tried, "failed": arm.azure_npm_failed},
    }


def write_evidence(folder: Path, answer: dict[str, Any], seen: Seen | None, console: str) -> None:
    """Put what a trial left into its folder: also of one that broke."""
    folder.joinpath("kubelet.log").write_text("\n".join(answer["watch"]["journal"]) + "\n")
    for when in ("before", "after"):
        for family, text in answer[when].items():
            folder.joinpath(f"rules-{when}.{family}").write_text(text)
    if answer["azure_npm"] is not None:
        folder.joinpath("azure-npm.log").write_text(answer["azure_npm"]["log"])
    folder.joinpath("console.log").write_text(console)
    write_json(folder / "watch.json", answer["watch"])
    if seen is not None:
        folder.joinpath("timeline.txt").write_text("\n".join(timeline(seen)) + "\n")


def timeline(seen: Seen) -> Iterator[str]:
    """Every iptables process of a trial, a line each, times after kubelet's first."""
    yield f"{'start':>8} {'end':>8} code  actor    command"
    for one in seen.commands:
        end = "" if one.ended is None else f"{one.ended:.3f}"
        code = "" if one.code is None else str(one.code)
        words = " ".join((one.program, *one.arguments))
        yield f"{one.started:8.3f} {end:>8} {code:>4}  {one.actor:<8} {words}"


def read_trials(folder: Path) -> list[Record]:
    """The records of a run. Raises UsageError for a folder or line that is none."""
    file = folder / "trials.jsonl"
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}", "name a results folder") from error
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(RECORD.validate_json(line, strict=True))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UsageError(
                f"{file}:{number} is not a trial: {where}: {first['msg']}",
                "remove the line, or run again",
            ) from error
    return records


def judge_again(folder: Path) -> Verdict:
    """The verdict of a stored run, from its trials and what force said. Raises UsageError."""
    return judge_records(folder, read_trials(folder))


def judge_records(folder: Path, records: Iterable[Record]) -> Verdict:
    """The verdict on trials, and on what force left in their folder. Raises UsageError."""
    verdict = decide(record.judged() for record in records)
    forced = folder / FORCE
    if not forced.exists():
        return verdict
    try:
        said = WORD.validate_json(forced.read_bytes())
    except ValidationError as error:
        raise UsageError(
            f"{forced} is not what an exploration leaves: {error.errors()[0]['msg']}",
            "run again",
        ) from error
    return with_force(verdict, (said.word, said.reason))
