"""A stored verdict.json, read for its views."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from chainrace.errors import UsageError
from chainrace.gate.backends import NFT
from chainrace.race.verdict import FIXED, ORIGINAL

NAME = "verdict.json"
RUN, FORCE = "run", "force"
Document = Mapping[str, Any]

# What `./lab replay` must be told of a script, besides the schedule.
REPLAYED = {
    ORIGINAL: "",
    FIXED: " --script provision/node/save/fixed.sh",
    "boot": " --boot",
}


@dataclass(frozen=True)
class Arm:
    """One script's trials by chance: which it is, what a reader knows it by, its figures."""

    script: str  # original or fixed
    label: str
    figures: Mapping[str, Any]


class _Complaint(TypedDict):
    node: str
    means: str
    times: int
    first: str


class _Explored(TypedDict):
    word: str
    reason: str
    graphs: list[dict[str, Any]]
    findings: list[dict[str, Any]]


class _Arm(TypedDict):
    trials: int
    outcomes: dict[str, int]
    rate: float
    rate_low: float
    rate_high: float
    azure_npm: dict[str, int]


class _Scenario(TypedDict):
    name: str
    script: str
    evidence: list[str]


class _Document(TypedDict):
    """What the views rely on (docs/reference.md has all of it)."""

    verdict: str
    reason: str
    interrupted: bool
    options: NotRequired[list[str]]
    lines: NotRequired[dict[str, str]]
    node: dict[str, Any]
    complaints: list[_Complaint]


class _Run(_Document):
    kind: Literal["run"]
    scenario: _Scenario
    scripts: dict[Literal["original", "fixed"], _Arm]
    force: _Explored | None
    reboot: dict[str, Any] | None


class _Exploration(_Document):
    kind: Literal["force"]
    scripts: dict[str, _Explored]


KINDS: dict[str, TypeAdapter[Any]] = {RUN: TypeAdapter(_Run), FORCE: TypeAdapter(_Exploration)}


def read(folder: Path) -> dict[str, Any]:
    """A folder's verdict. Raises UsageError where there is none that this version can read."""
    file = folder / NAME
    try:
        document = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} is no verdict: {error}", "name a results folder") from error
    if not isinstance(document, dict) or document.get("kind") not in KINDS:
        raise UsageError(f"{file} is no verdict of this version's", "run again")
    try:
        KINDS[document["kind"]].validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{file} is no verdict: {where}: {first['msg']}", "run again") from error
    return document


def explored_in(document: Document) -> dict[str, Any]:
    """What force showed, by script: of a run that of the script in the fix's place."""
    if document["kind"] == FORCE:
        return dict(document["scripts"])
    force = document["force"]
    return {document["scenario"]["script"]: force} if force else {}


def arms(document: Document) -> list[Arm]:
    """The scripts that were tried by chance."""
    if document["kind"] == FORCE:
        return []
    labels = {ORIGINAL: ORIGINAL, FIXED: document["scenario"]["script"]}
    return [
        Arm(script, labels[script], figures)
        for script, figures in document["scripts"].items()
        if figures["trials"]
    ]


def replay_of(document: Document, script: str, schedule: str) -> str:
    """The command that replays a schedule of a script, as a shell takes it."""
    chosen = REPLAYED.get(script, f" --script {script}")
    image = document.get("options", ())
    backend = document["node"].get("backend", NFT)
    # The lab's own image has nft by default, another what it has.
    options = [*image, *(() if backend == NFT and not image else ("--backend", backend))]
    return " ".join((f"./lab replay '{schedule}'{chosen}", *map(shlex.quote, options)))
