"""A stored verdict.json, read for its views."""

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from chainrace.base.errors import UsageError
from chainrace.base.files import read_text_input
from chainrace.base.paths import REPOSITORY
from chainrace.judge.verdict import FIXED, ORIGINAL
from chainrace.model import schedule as schedules
from chainrace.model.actors import KUBELET
from chainrace.model.backends import NFT
from chainrace.model.schedule import cost
from chainrace.report.document import EXPLORATION, KINDS, fault, parse

NAME = "verdict.json"
REMEDY = "name a results folder"
Document = Mapping[str, Any]

# What `./lab replay` must be told of a script, besides the schedule, where results keep none.
REPLAYED = {
    ORIGINAL: "",
    FIXED: " --script provision/node/save/fixed.sh",
    "boot": " --boot",
}


@dataclass(frozen=True)
class Arm:
    """One script's randomized trials: which it is, what a reader knows it by, its figures."""

    script: str  # original or fixed
    label: str
    figures: Mapping[str, Any]


def read(folder: Path) -> dict[str, Any]:
    """A folder's verdict. Raises UsageError where there is none that this version can read."""
    file = folder / NAME
    try:
        document = parse(read_text_input(file, REMEDY, below=folder))
    except ValueError as error:
        raise UsageError(f"{file} is no verdict: {error}", REMEDY) from error
    kind = document.get("kind") if isinstance(document, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise UsageError(f"{file} is no verdict of this version's", "run again")
    try:
        # Strict: nothing is converted, so that the document is what was found to be right.
        KINDS[kind].validate_python(document, strict=True)
    except ValidationError as error:
        raise UsageError(f"{file} is no verdict: {fault(error)}", "run again") from error
    return dict(document)


def explored_in(document: Document) -> dict[str, Any]:
    """What an exploration showed, by script: of a run that of the script in the fix's place."""
    if document["kind"] == EXPLORATION:
        return dict(document["scripts"])
    found = document["exploration"]
    return {document["scenario"]["script"]: found} if found else {}


def reproduces(document: Document, script: str) -> bool:
    """Whether a script is the outage's original, explored beside its fix.

    That it harms kubelet is what it is there to show.
    """
    beside = document["kind"] == EXPLORATION and {ORIGINAL, FIXED} == document["scripts"].keys()
    return beside and script == ORIGINAL


def arms(document: Document) -> list[Arm]:
    """The scripts that were tried in randomized trials."""
    if document["kind"] == EXPLORATION:
        return []
    labels = {ORIGINAL: ORIGINAL, FIXED: document["scenario"]["script"]}
    return [
        Arm(script, labels[script], figures)
        for script, figures in document["scripts"].items()
        if figures["trials"]
    ]


@dataclass(frozen=True)
class Numbered:
    """A finding by its number in a verdict, counted from 1 over all its scripts."""

    number: int
    script: str
    finding: Mapping[str, Any]

    def __str__(self) -> str:
        """`3: original, ipv4: init_failed (s2 k8 s* k*)`."""
        found = self.finding
        modes = ", ".join(found["modes"])
        return f"{self.number}: {self.script}, {found['family']}: {modes} ({found['schedule']})"


def findings_in(document: Document) -> list[Numbered]:
    """All that was found, in its order."""
    pairs = (
        (script, finding)
        for script, explored in explored_in(document).items()
        for finding in explored["findings"]
    )
    return [Numbered(number, *pair) for number, pair in enumerate(pairs, start=1)]


def cost_of(schedule: str) -> tuple[int, ...]:
    """What makes a stored schedule longer (model/schedule.py); what is none is the longest."""
    try:
        return 0, *cost(schedules.parse(schedule))
    except ValueError:
        return 1, 0, 0, 0


def shown(folder: Path) -> str:
    """A results folder as a command of this clone takes it."""
    whole = folder.resolve()
    inside = whole.is_relative_to(REPOSITORY)
    return str(whole.relative_to(REPOSITORY) if inside else whole)


def again(document: Document, folder: Path, numbered: Numbered) -> str:
    """The command that runs a finding again, as a shell takes it."""
    if numbered.script in _kept(document):
        return f"./lab replay --from {shlex.quote(shown(folder))} {numbered.number}"
    return _told(document, numbered.script, numbered.finding["schedule"])


def replay_of(document: Document, folder: Path, script: str, schedule: str) -> str:
    """The command that replays a schedule of a script, as a shell takes it."""
    kept = _kept(document)
    if script not in kept:
        return _told(document, script, schedule)
    words = ["./lab", "replay", "--from", shown(folder)]
    if len(kept) > 1:
        # A name may begin with a dash.
        words += [f"--of={script}"] if script.startswith("-") else ["--of", script]
    return shlex.join((*words, schedule))


def _kept(document: Document) -> Collection[str]:
    """What results keep enough of for a replay: scripts, or the unit in a script's place."""
    made_by = document.get("made_by")
    if not made_by:
        return ()
    return [made_by["against"]["name"]] if "against" in made_by else made_by["scripts"]


def _told(document: Document, script: str, schedule: str) -> str:
    """A replay of what results do not keep: its user must have the file."""
    chosen = REPLAYED.get(script, f" --script {shlex.quote(script)}")
    image = document.get("options", ())
    backend = document["node"].get("backend", NFT)
    # The lab's own image has nft by default, another what it has.
    options = [*image, *(() if backend == NFT and not image else ("--backend", backend))]
    return " ".join((f"./lab replay {shlex.quote(schedule)}{chosen}", *map(shlex.quote, options)))


def subject_of(document: Document) -> str:
    """Whom the scripts were raced with, by name."""
    made_by = document.get("made_by") or {}
    return str((made_by.get("subject") or {"name": KUBELET})["name"])
