"""report.html: one page without any network, drawn from what a results folder holds."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from chainrace.errors import UsageError
from chainrace.files import read_input
from chainrace.race.outcome import HEALTHY, WORST_FIRST
from chainrace.race.trial import Call
from chainrace.report import verdict
from chainrace.report.document import EXPLORATION
from chainrace.report.maps import LETTERS, Grid, drawable, grids
from chainrace.report.strip import strip
from chainrace.report.text import clean
from chainrace.report.trials import TRIALS_FILE, Finite, Record, read_trials
from chainrace.report.writing import file_name

NAME = "report.html"
# E1121 06:52:16.5 1085 kubelet_network_linux.go:80] "Failed to ensure that KUBE-FIREWALL ..."
TELLING = re.compile(r"iptables|KUBE-|kubelet_network")
MOST_LINES = 40
# Every one of hundreds of trials would make a page that no phone opens.
MOST_FAILURES = 30


class _Command(TypedDict):
    actor: str
    program: str
    arguments: list[str]
    started: Finite


class _Watch(TypedDict):
    """What the page needs of a watch.json."""

    commands: list[_Command]


WATCH = TypeAdapter(_Watch)


@dataclass(frozen=True)
class Failure:
    """One failure as the page shows it; `replay` is the command for it."""

    title: str
    schedule: str
    replay: str
    about: tuple[str, ...]
    missing: tuple[str, ...]
    log: str
    timeline: str
    where: str


def draw(folder: Path) -> str:
    """A folder's page, as HTML. Raises UsageError for a folder without a verdict."""
    document = verdict.read(folder)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("chainrace.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: clean(value) if isinstance(value, str) else value,
    )
    records = read_trials(folder) if (folder / TRIALS_FILE).exists() else []
    failures = list(_failures(folder, document, records))
    drawn, made_by = grids_of(document), document.get("made_by")
    return environment.get_template("report.html").render(
        document=document,
        folder=folder.resolve().name,
        lines=document.get("lines", {}),
        node={name: value for name, value in document["node"].items() if isinstance(value, str)},
        explored=verdict.explored_in(document),
        made_by=made_by,
        call=shlex.join(made_by["command"]) if made_by else "",
        grids=drawn,
        left_out=_left_out(document, drawn),
        replay_of=partial(verdict.replay_of, document, folder),
        letters={name: LETTERS[name] for name in WORST_FIRST},
        arms=verdict.arms(document),
        strip=strip(records) if records else None,
        known_bad_lines=document.get("known_bad_lines", []),
        failures=failures[:MOST_FAILURES],
        more=max(0, len(failures) - MOST_FAILURES),
    )


def grids_of(document: verdict.Document) -> list[Grid]:
    """All maps of a verdict that a page has room for."""
    return drawable(grid for script, graph in _graphs_of(document) for grid in grids(script, graph))


def _graphs_of(document: verdict.Document) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for script, explored in verdict.explored_in(document).items():
        for graph in explored["graphs"]:
            yield script, graph


def _left_out(document: verdict.Document, drawn: Iterable[Grid]) -> list[str]:
    """Which maps are not on the page, or not whole."""
    counts = Counter((grid.script, grid.family) for grid in drawn)
    return [
        f"{script}, {graph['family']}"
        for script, graph in _graphs_of(document)
        # None: the results have no room for it either. Without the key it is of an old version.
        if graph.get("map", ()) is None
        or len(grids(script, graph)) > counts[(script, graph["family"])]
    ]


def _failures(
    folder: Path, document: verdict.Document, records: Iterable[Record]
) -> Iterator[Failure]:
    for numbered in verdict.findings_in(document):
        yield _found(folder, document, numbered)
    for record in records:
        if record.outcome != HEALTHY:
            yield _trial(folder, document, record)


def _found(folder: Path, document: verdict.Document, numbered: verdict.Numbered) -> Failure:
    script, finding = numbered.script, numbered.finding
    about = [
        f"replayed: ended so in {finding['replays_that_ended_so']} of {finding['replays']}",
        f"end states of this kind: {finding['end_states']}",
    ]
    if monitor := finding["monitor"]:
        about.append(
            f"kubelet's Monitor: {'repairs it' if monitor['healed'] else 'does not repair it'}"
        )
    chain = finding["azure_npm_finds"]
    about.append(f"azure-npm: {f'finds {chain}' if chain else 'finds no chain, and crashloops'}")
    named = f"{file_name(script)}-{finding['family']}-"
    evidence = _evidence_of(
        folder, named if document["kind"] == EXPLORATION else "", finding["schedule"]
    )
    return Failure(
        title=f"{numbered.number} · {script}, {finding['family']}: {', '.join(finding['classes'])}",
        schedule=finding["schedule"],
        replay=verdict.again(document, folder, numbered),
        about=tuple(about),
        missing=tuple(finding["missing"]),
        log=_log(folder, evidence / "kubelet.log"),
        timeline=_text(folder, evidence / "timeline.txt"),
        where=str(evidence.relative_to(folder)),
    )


def _evidence_of(folder: Path, prefix: str, schedule: str) -> Path:
    """The folder of a finding's last replay. Two scripts can fail by the same schedule."""
    try:
        kept = sorted((folder / "findings").iterdir())
    except OSError:
        return folder
    for one in kept:
        # Earlier versions named them by the script as it is.
        named = one.name.startswith((file_name(prefix) if prefix else "", prefix))
        if named and _text(folder, one / "schedule.txt").strip() == schedule:
            return one
    return folder


def _trial(folder: Path, document: verdict.Document, record: Record) -> Failure:
    evidence = folder / "trials" / f"{record.number:04d}-{record.script}"
    missing = [
        f"{family}: {entry}" for family, found in record.families.items() for entry in found.missing
    ]
    about = [f"start offset {record.offset:.3f} s: after kubelet's first iptables process"]
    about += [found.cause for found in record.families.values() if found.cause]
    if record.error:
        about.append(f"the environment broke: {record.error}")
    if record.azure_npm is not None:
        about.append(f"azure-npm {'starts' if record.azure_npm else 'does not start'} on it")
    labels = {arm.script: arm.label for arm in verdict.arms(document)}
    label = labels.get(record.script, record.script)
    schedule = _nearest_schedule(folder, evidence / "watch.json")
    return Failure(
        title=f"trial {record.number}, {label}: {record.outcome}",
        schedule=schedule,
        replay=verdict.replay_of(document, folder, label, schedule),
        about=tuple(about),
        missing=tuple(missing),
        log=_log(folder, evidence / "kubelet.log"),
        timeline=_text(folder, evidence / "timeline.txt"),
        where=str(evidence.relative_to(folder)),
    )


def _nearest_schedule(folder: Path, watch: Path) -> str:
    """The schedule that is nearest to what a trial saw; empty where nothing is.

    It stops the script once, before its first flush, where kubelet was then.
    """
    try:
        seen = WATCH.validate_json(read_input(watch, verdict.REMEDY, below=folder))
    except (UsageError, ValidationError):
        return ""
    commands = sorted(seen["commands"], key=lambda one: one["started"])
    calls = [(Call.of(one), one["started"]) for one in commands]
    kubelets = [at for call, at in calls if call.actor == "kubelet" and call.family == "ipv4"]
    scripts = [(call, at) for call, at in calls if call.actor not in ("kubelet", "other")]
    flush = next((n for n, (call, _) in enumerate(scripts) if "-F" in call.arguments), None)
    if flush is None:
        return ""
    before = sum(at < scripts[0][1] for at in kubelets)
    until = sum(at < scripts[flush][1] for at in kubelets)
    turns = [("k", before), ("s", flush), ("k", until - before)]
    counted = [f"{actor}{steps}" for actor, steps in turns if steps]
    if counted and counted[-1].startswith("s"):
        counted.pop()
    return " ".join((*counted, "s* k*"))


def _text(folder: Path, file: Path) -> str:
    """A piece of evidence; empty where it is gone, damaged or a link: the rest is worth a page."""
    try:
        return read_input(file, verdict.REMEDY, below=folder).decode(errors="replace")
    except UsageError:
        return ""


def _log(folder: Path, file: Path) -> str:
    """Kubelet's lines on its iptables; where there is none, its last."""
    lines = _text(folder, file).splitlines()
    telling = [line for line in lines if TELLING.search(line)]
    return "\n".join((telling or lines)[-MOST_LINES:])
