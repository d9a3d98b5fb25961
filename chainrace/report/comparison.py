"""What changed from one run to another, as far as it is more than noise."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrace.errors import UsageError
from chainrace.race import statistics
from chainrace.race.force import EXIT_OF
from chainrace.race.rules import FAMILIES
from chainrace.race.verdict import SIGNIFICANCE
from chainrace.report.page import explored_in, read_verdict

Document = Mapping[str, Any]
# What differs from run to run without anything being different.
PASSING = frozenset({"seed", "window", "tables"})


@dataclass(frozen=True)
class Change:
    """One thing that is not as it was. `matters` unless it is only another version."""

    what: str
    before: str
    after: str
    matters: bool = True


def changes(before: Document, after: Document) -> list[Change]:
    """Everything that changed, the verdict first. Raises UsageError for unlike runs."""
    if before["kind"] != after["kind"] or _scenario(before) != _scenario(after):
        raise UsageError(
            f"these are runs of different things: {_scenario(before)}, {_scenario(after)}",
            "compare two runs of the same scenario",
        )
    return [
        *_differing("verdict", before["verdict"], after["verdict"]),
        *_by_force(before, after),
        *_by_chance(before, after),
        *_differing("reboot", _word(before, "reboot"), _word(after, "reboot")),
        *_versions(before["node"], after["node"]),
    ]


def last_good(folder: Path) -> Path:
    """The newest run before a folder's that was of the same and ended with exit code 0.

    Raises UsageError where there is none.
    """
    mine = read_verdict(folder)
    here = folder.resolve()
    # Their names are their times.
    for other in sorted(here.parent.iterdir(), reverse=True):
        if other.is_symlink() or other.name >= here.name or not (other / "verdict.json").exists():
            continue
        try:
            document = read_verdict(other)
        except UsageError:
            continue  # of an older version, or of something else
        alike = document["kind"] == mine["kind"] and _scenario(document) == _scenario(mine)
        if alike and EXIT_OF[document["verdict"]] == 0 and not document["interrupted"]:
            return other
    raise UsageError(f"no good run before {folder} is of the same", "name the other run, too")


def _scenario(document: Document) -> str:
    if document["kind"] == "force":
        return f"explore {', '.join(sorted(document['scripts']))}"
    return f"{document['scenario']['name']} ({document['scenario']['script']})"


def _word(document: Document, part: str) -> str:
    return str(document[part]["word"]) if document.get(part) else "not looked at"


def _differing(what: str, before: str, after: str) -> Iterator[Change]:
    if before != after:
        yield Change(what, before, after)


def _by_force(before: Document, after: Document) -> Iterator[Change]:
    """The words, and the classes of end states: by force there is no noise."""
    old, new = explored_in(before), explored_in(after)
    for script in old.keys() & new.keys():
        yield from _differing(f"{script}, by force", old[script]["word"], new[script]["word"])
        for family in FAMILIES:
            yield from _differing(
                f"{script}, end states of {family}",
                _classes(old[script], family),
                _classes(new[script], family),
            )


def _classes(explored: Mapping[str, Any], family: str) -> str:
    mine = (graph for graph in explored["graphs"] if graph["family"] == family)
    found = {name for graph in mine for name in graph["classes"]}
    return ", ".join(sorted(found)) or "none"


def _by_chance(before: Document, after: Document) -> Iterator[Change]:
    """Each outcome's rate, where Fisher's exact test tells the two runs apart."""
    if before["kind"] == "force":
        return
    for script, old in before["scripts"].items():
        new = after["scripts"][script]
        if not old["trials"] or not new["trials"]:
            continue
        for outcome in sorted({*old["outcomes"], *new["outcomes"]}):
            counts = [arm["outcomes"].get(outcome, 0) for arm in (old, new)]
            p = statistics.different(counts[0], old["trials"], counts[1], new["trials"])
            if p < SIGNIFICANCE:
                yield Change(
                    f"{script}, rate of {outcome} (p = {p:.2g})",
                    f"{counts[0]} of {old['trials']}",
                    f"{counts[1]} of {new['trials']}",
                )


def _versions(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted({*before, *after} - PASSING):
        old, new = str(before.get(name, "not said")), str(after.get(name, "not said"))
        if old != new:
            yield Change(name, old, new, matters=False)
