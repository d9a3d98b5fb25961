"""What changed from one run to another, as far as it is more than noise."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrace.base.errors import UsageError
from chainrace.base.text import line
from chainrace.judge import statistics
from chainrace.judge.explored import EXIT_OF
from chainrace.judge.verdict import SIGNIFICANCE
from chainrace.model.rules import FAMILIES
from chainrace.report import verdict
from chainrace.report.document import EXPLORATION
from chainrace.report.verdict import Document, explored_in

# What differs from run to run without anything being different.
PASSING = frozenset({"seed", "window", "tables"})
NOT_LOOKED_AT = "not looked at"
# python3 (pid 812, unit foo.service)
PID = re.compile(r"\bpid \d+")
# What an exploration said of a script, besides its verdict and its ends.
SAID = {"doubts": "doubts", "unexercised": "not exercised", "alone": "what it does alone"}


@dataclass(frozen=True)
class Change:
    """One thing that is not as it was. `matters` unless it is only another version."""

    what: str
    before: str
    after: str
    matters: bool = True


def changes(before: Document, after: Document) -> list[Change]:
    """Everything that changed, the verdict first. Raises UsageError for unlike runs."""
    if _about(before) != _about(after):
        raise UsageError(
            line(f"these are runs of different things: {_about(before)}; {_about(after)}"),
            "compare two runs of the same scenario",
        )
    return [
        *_differing("verdict", before["verdict"], after["verdict"]),
        *_explorations(before, after),
        *_by_trials(before, after),
        *_by_reboot(before, after),
        *_in_cluster(before, after),
        *_versions(before["node"], after["node"]),
    ]


def last_good(folder: Path) -> Path:
    """The newest run before a folder's that was of the same and ended with exit code 0.

    Raises UsageError where there is none.
    """
    mine = verdict.read(folder)
    here = folder.resolve()
    # Their names are their times.
    try:
        others = sorted(here.parent.iterdir(), reverse=True)
    except OSError as error:
        raise UsageError(f"{here.parent} cannot be read", "name the other run, too") from error
    for other in others:
        if other.is_symlink() or other.name >= here.name:
            continue
        try:
            document = verdict.read(other)
        except UsageError:
            continue  # of an older version, of something else, or damaged
        good = EXIT_OF[document["verdict"]] == 0 and not document["interrupted"]
        if good and _about(document) == _about(mine):
            return other
    raise UsageError(f"no good run before {folder} is of the same", "name the other run, too")


def _about(document: Document) -> str:
    """What a run is of: only runs of the same can be compared."""
    backend = document["node"].get("backend", "nft")
    if document["kind"] == EXPLORATION:
        return f"explore {', '.join(sorted(document['scripts']))} with {backend}"
    scenario = document["scenario"]
    image = "an image of one's own" if document.get("options") else "the lab's image"
    return f"scenario {scenario['name']} of {scenario['script']} on {image} with {backend}"


def _differing(what: str, before: str, after: str) -> Iterator[Change]:
    if before != after:
        yield Change(what, before, after)


def _explorations(before: Document, after: Document) -> Iterator[Change]:
    """The words, the modes of end states, the doubts: an exploration has no noise."""
    old, new = explored_in(before), explored_in(after)
    for script in sorted({*old, *new}):
        pair = (old.get(script), new.get(script))
        verdicts = [one["verdict"] if one else NOT_LOOKED_AT for one in pair]
        yield from _differing(f"{script}, explored", verdicts[0], verdicts[1])
        for family in FAMILIES:
            ends = [_modes(one, family) if one else NOT_LOOKED_AT for one in pair]
            yield from _differing(f"{script}, end states of {family}", ends[0], ends[1])
        if old.get(script) and new.get(script):
            for key, what in SAID.items():
                said = [_told(one.get(key)) for one in pair if one]
                yield from _differing(f"{script}, {what}", said[0], said[1])


def _modes(explored: Mapping[str, Any], family: str) -> str:
    mine = (graph for graph in explored["graphs"] if graph["family"] == family)
    found = {name for graph in mine for name in graph["modes"]}
    return ", ".join(sorted(found)) or "none"


def _told(said: Any) -> str:
    """What is said of a script, without the numbers that every run has of its own."""
    lines = [said] if isinstance(said, str) else said or []
    return "; ".join(sorted({PID.sub("pid", one) for one in lines if one})) or "none"


def _by_trials(before: Document, after: Document) -> Iterator[Change]:
    """Each outcome's rate, and azure-npm's, where Fisher's exact test tells the runs apart."""
    if before["kind"] == EXPLORATION:
        return
    for script, old in before["scripts"].items():
        new = after["scripts"][script]
        if bool(old["trials"]) != bool(new["trials"]):
            said = [f"{arm['trials']} trials" for arm in (old, new)]
            yield Change(f"{script}, trials", said[0], said[1])
        for outcome in sorted({*old["outcomes"], *new["outcomes"]}):
            yield from _rates(
                f"{script}, rate of {outcome}",
                (old["outcomes"].get(outcome, 0), old["trials"]),
                (new["outcomes"].get(outcome, 0), new["trials"]),
            )
        npm = [(arm["azure_npm"]["failed"], arm["azure_npm"]["tried"]) for arm in (old, new)]
        yield from _rates(f"{script}, azure-npm down", npm[0], npm[1])


def _rates(what: str, old: tuple[int, int], new: tuple[int, int]) -> Iterator[Change]:
    """A change of a rate (so many of so many), where it is more than noise."""
    if not old[1] or not new[1]:
        return
    p = statistics.different(*old, *new)
    if p < SIGNIFICANCE:
        yield Change(f"{what} (p = {p:.2g})", f"{old[0]} of {old[1]}", f"{new[0]} of {new[1]}")


def _by_reboot(before: Document, after: Document) -> Iterator[Change]:
    pair = (before.get("reboot"), after.get("reboot"))
    for part in ("verdict", "service", "kubelet"):
        said = [_said(one[part]) if one else NOT_LOOKED_AT for one in pair]
        yield from _differing(f"reboot, {part}", said[0], said[1])


def _in_cluster(before: Document, after: Document) -> Iterator[Change]:
    pair = [(one.get("cluster") or {}).get("verdict", NOT_LOOKED_AT) for one in (before, after)]
    yield from _differing("cluster, verdict", *pair)


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name} {', '.join(modes)}" for name, modes in value.items())
    return str(value)


def _versions(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted({*before, *after} - PASSING):
        old, new = str(before.get(name, "not said")), str(after.get(name, "not said"))
        if old != new:
            yield Change(name, old, new, matters=False)
