"""The trials of a run as trials.jsonl keeps them: a line each, enough to judge again."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from chainrace.errors import UsageError
from chainrace.race.outcome import Name, Outcome
from chainrace.race.trial import Seen
from chainrace.race.verdict import Judged
from chainrace.race.window import is_hit

TRIALS = "trials.jsonl"
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


def read_trials(folder: Path) -> list[Record]:
    """The records of a run. Raises UsageError for a folder or line that is none."""
    file = folder / TRIALS
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
