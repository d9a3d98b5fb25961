"""The results folder: written while a run goes on, read to judge it again.

results/<UTC time>/verdict.json      the one truth
                   scenario.json     what the run was to show
                   node.json         what was on the node
                   trials.jsonl      a line a trial, enough to judge again
                   trials-end.json       how many trials there are: written when all are done
                   reference/        kubelet's clean start
                   exploration.json        the fixed script in all interleavings
                   graph-<script>-<family>.dot   the graph of its states, for Graphviz
                   exposure.json     why there was nothing to race
                   image.json        what an image of the user's own says it is
                   made_by.json      the call, the tool, the scripts; these lie in scripts/
                   reboot.json       what was saved and what a boot brought back
                   cluster.json      what became of azure-npm's pod; evidence in cluster/
                   trials/<n>-<script>/  kubelet.log, rules, timeline, console.log
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from chainrace.base.errors import UsageError
from chainrace.base.files import read_if_there, write_json
from chainrace.judge import cluster
from chainrace.judge.badlines import BadLine
from chainrace.judge.boot import Boot
from chainrace.judge.cluster import Repair, Start
from chainrace.judge.conclusion import CLUSTER, EXPLORATION, TRIALS, Evidence, Said, conclude
from chainrace.judge.explored import HARMFUL, HARMLESS, Explored, Stand
from chainrace.judge.explored import conclude as conclude_scripts
from chainrace.judge.exposure import NOT_EXPOSED, Found, NotExposed
from chainrace.judge.verdict import FIXED, INCONCLUSIVE, THE_FIX, Arm, Verdict, decide
from chainrace.model.mode import ENVIRONMENT, HEALTHY
from chainrace.report import graphviz, made_by
from chainrace.report import verdict as stored
from chainrace.report.document import Cluster as StoredCluster
from chainrace.report.document import Explored as StoredExploration
from chainrace.report.document import Node as StoredNode
from chainrace.report.document import Reboot as StoredReboot
from chainrace.report.document import Scenario, fault, parse
from chainrace.report.explored import explored_json, write_ending
from chainrace.report.folder import Folder
from chainrace.report.lines import lines
from chainrace.report.made_by import Origin
from chainrace.report.trials import TRIALS_FILE, Record, read_trials
from chainrace.report.verdict import NAME
from chainrace.report.writing import short, store

SCHEMA = 4
SCENARIO = "scenario.json"
EXPLORATION_FILE = "exploration.json"
REBOOT = "reboot.json"
CLUSTER_FILE = "cluster.json"
IMAGE = "image.json"
EXPOSURE = "exposure.json"
TRIALS_END = "trials-end.json"
NODE = "node.json"
REMEDY = "name another folder, or run again"


@dataclass(frozen=True)
class Asked:
    """What a run was to show: the scenario's name, which script stood in the fix's place."""

    name: str = "outage"
    script: str = "fixed"
    evidence: tuple[Evidence, ...] = (TRIALS,)
    options: tuple[str, ...] = ()  # by which a call names an image of the user's own


Kept = TypeVar("Kept")


class ResultsFolder(Folder):
    """One run's folder. Every trial is on disk before the next one starts."""

    def __init__(self, parent: Path, asked: Asked = Asked()) -> None:
        super().__init__(parent)
        store(self.path / SCENARIO, {**asdict(asked), "script": short(asked.script)})

    def made_by(self, origin: Origin) -> None:
        """Keep the scripts, and by what the run is made: a replay needs nothing else."""
        made_by.keep(self.path, origin)

    def add(self, record: Record) -> Path:
        """Append a trial to trials.jsonl; returns the folder for its evidence."""
        with (self.path / TRIALS_FILE).open("a") as file:
            file.write(json.dumps(asdict(record)) + "\n")
        folder = self.path / "trials" / f"{record.number:04d}-{record.script}"
        folder.mkdir(parents=True)
        return folder

    def all_trials(self, count: int) -> None:
        """Say that the randomized trials came to their own end, and how many they are."""
        write_json(self.path / TRIALS_END, {"trials": count})

    def reference(self) -> Path:
        """The folder for the reference's evidence."""
        folder = self.path / "reference"
        folder.mkdir(exist_ok=True)
        return folder

    def node(self, about: Mapping[str, Any]) -> None:
        """Keep what the node is, for the verdict on a run that is killed before its own."""
        write_json(self.path / NODE, about)

    def image(self, found: Found) -> None:
        """Keep what an image of the user's own says it is."""
        write_json(self.path / IMAGE, asdict(found))

    def not_exposed(self, reason: str) -> None:
        """Keep why there is nothing to race."""
        write_json(self.path / EXPOSURE, {"verdict": NOT_EXPOSED, "reason": reason})

    def exploration(self, explored: Explored) -> None:
        """Keep what an exploration showed of the fixed script, for this verdict and a later one."""
        store(self.path / EXPLORATION_FILE, explored_json(explored))
        graphviz.write(self.path, explored)

    def reboot(self, boot: Boot) -> None:
        """Keep what a reboot showed, and kubelet's log of that boot."""
        write_json(self.path / REBOOT, boot_json(boot))
        folder = self.path / "reboot"
        folder.mkdir()
        write_ending(folder, boot.ending)

    def cluster(self, starts: Sequence[Start], repairs: Sequence[Repair]) -> None:
        """Keep what was seen in a cluster so far."""
        asked = _asked(self.path) or Asked()
        verdict, reason = cluster.conclude(starts, _called(asked))
        seen = {
            "starts": [asdict(one) for one in starts],
            "repairs": [asdict(one) for one in repairs],
        }
        store(self.path / CLUSTER_FILE, {"verdict": verdict, "reason": reason, **seen})


def _called(asked: Asked) -> str:
    """What the script in the fix's place is called in a sentence."""
    return THE_FIX if asked.script == FIXED else asked.script


def write_verdict(
    folder: Path,
    verdict: Verdict,
    node: Mapping[str, Any],
    *,
    known_bad_lines: Sequence[BadLine] = (),
    interrupted: bool,
) -> None:
    """Write verdict.json of a run into its folder, whole or not at all.

    Raises UsageError for parts of a run that are none.
    """
    scenario = asdict(_asked(folder) or Asked())
    document = {
        "schema": SCHEMA,
        "kind": "run",
        "options": scenario.pop("options"),
        "made_by": made_by.read(folder),
        "scenario": scenario,
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "interrupted": interrupted,
        "p": verdict.p,
        "environment": verdict.environment,
        "scripts": {
            "original": arm_json(verdict.original),
            "fixed": arm_json(verdict.fixed),
        },
        "exploration": _stored(folder / EXPLORATION_FILE, TypeAdapter(StoredExploration)),
        "reboot": _stored(folder / REBOOT, TypeAdapter(StoredReboot)),
        "cluster": _stored(folder / CLUSTER_FILE, TypeAdapter(StoredCluster)),
        "image": _stored(folder / IMAGE, TypeAdapter(Found)),
        "node": node,
        "known_bad_lines": [asdict(one) for one in known_bad_lines],
    }
    store(folder / NAME, {**document, "lines": lines(document)})


def read_node(folder: Path) -> dict[str, Any]:
    """What was on the node of a run. Raises UsageError."""
    return dict(_stored(folder / NODE, TypeAdapter(StoredNode)) or {})


def _stored(file: Path, kind: TypeAdapter[Any]) -> Any:
    """A part as it was written, on which the views can rely; None where there is none."""
    found = _part(file, kind)
    return found and found[0]


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


def boot_json(boot: Boot) -> dict[str, Any]:
    """A reboot's part of verdict.json."""
    return {
        "verdict": HARMLESS if boot.kept else HARMFUL,
        "reason": boot.reason,
        "lost": {family: list(lost) for family, lost in boot.lost.items()},
        "service": boot.service,
        "kubelet": {name: list(one.modes) for name, one in boot.outcome.families.items()},
    }


def judge_again(folder: Path) -> Verdict:
    """The verdict of a stored run, from what lies in its folder. Raises UsageError.

    Of an exploration: from what it says of each script.
    """
    asked = _asked(folder)
    if asked is None and _is_exploration(folder):
        return _judge_exploration(stored.read(folder))
    if exposure := _read(folder / EXPOSURE, TypeAdapter(NotExposed)):
        return replace(decide(()), verdict=exposure.verdict, reason=exposure.reason)
    if asked and CLUSTER in asked.evidence:
        seen = _stored(folder / CLUSTER_FILE, TypeAdapter(StoredCluster)) or {
            "verdict": INCONCLUSIVE,
            "reason": "it was not come to",
        }
        return replace(decide(()), verdict=seen["verdict"], reason=seen["reason"])
    # A run that was stopped early has no trials yet; a folder of something else has neither.
    none_yet = asked is not None and not (folder / TRIALS_FILE).exists()
    records = [] if none_yet else read_trials(folder)
    if asked is None:
        # A run of an older version: it had an exploration where its file lies.
        asked = Asked(
            evidence=(EXPLORATION, TRIALS) if (folder / EXPLORATION_FILE).exists() else (TRIALS,)
        )
    script = _called(asked)
    by_trials = decide((record.judged() for record in records), script)
    cut = _cut_off(folder, records)
    harmed = any(
        one.script == FIXED and one.outcome not in (HEALTHY, ENVIRONMENT) for one in records
    )
    if cut and not harmed and by_trials.verdict != INCONCLUSIVE:
        # Who may stop when they like what they see proves nothing. One harm by the fix does.
        by_trials = replace(by_trials, verdict=INCONCLUSIVE, reason=f"{cut}; {by_trials.reason}")
    return conclude(
        asked.evidence,
        by_trials,
        _read(folder / EXPLORATION_FILE, TypeAdapter(Said)),
        _read(folder / REBOOT, TypeAdapter(Said)),
        script,
    )


def doubts_in(folder: Path) -> dict[str, list[str]]:
    """Why nothing is proved, by script. Raises UsageError for parts that are none."""
    asked = _asked(folder)
    if asked is None and _is_exploration(folder):
        found = stored.explored_in(stored.read(folder))
    else:
        found = _stored(folder / EXPLORATION_FILE, TypeAdapter(StoredExploration))
        found = {(asked or Asked()).script: found} if found else {}
    return {script: list(one.get("doubts", ())) for script, one in found.items()}


def _is_exploration(folder: Path) -> bool:
    return not (folder / TRIALS_FILE).exists() and (folder / NAME).exists()


def _judge_exploration(document: stored.Document) -> Verdict:
    if document["kind"] != EXPLORATION:
        raise UsageError("it is a run without its trials: there is nothing to judge", REMEDY)
    # What kept no scripts was to explore those that it has.
    wanted = (document.get("made_by") or {"scripts": ()})["scripts"]
    stands = {
        name: Stand(one["verdict"], one["reason"], _signed(one["findings"]))
        for name, one in document["scripts"].items()
    }
    verdict, reason = conclude_scripts(stands, wanted)
    return replace(decide(()), verdict=verdict, reason=reason)


def _signed(findings: Sequence[Mapping[str, Any]]) -> str:
    """The schedule of the first that broke kubelet's start by the outage's message each time."""
    found = (
        one["schedule"]
        for one in findings
        if one.get("signature") and 0 < one["replays"] == one["replays_with_the_same_end"]
    )
    return next(found, "")


def _asked(folder: Path) -> Asked | None:
    found = _read(folder / SCENARIO, TypeAdapter(Scenario))
    if found is None:
        return None
    options = tuple(found.get("options", ()))
    return Asked(found["name"], found["script"], tuple(found["evidence"]), options)


def _cut_off(folder: Path, records: Sequence[Record]) -> str:
    """Why trials are not all that the run would have made; empty where they are."""
    if [record.number for record in records] != list(range(1, len(records) + 1)):
        return "trials are missing among those that are kept"
    end = _read(folder / TRIALS_END, TypeAdapter(dict[str, int]))
    if end != {"trials": len(records)}:
        return "the run was cut off before its last trial, or is of an older version"
    return ""


def _read(file: Path, kind: TypeAdapter[Kept]) -> Kept | None:
    """A part that a run left; None where it left none. Raises UsageError."""
    found = _part(file, kind)
    return found and found[1]


def _part(file: Path, kind: TypeAdapter[Kept]) -> tuple[Any, Kept] | None:
    """The same as it was written, and as what it is."""
    data = read_if_there(file, REMEDY, below=file.parent)
    if data is None:
        return None
    try:
        return parse(data.decode()), kind.validate_json(data, strict=True)
    except ValueError as error:
        why = fault(error) if isinstance(error, ValidationError) else str(error)
        raise UsageError(f"{file} is not what a run leaves: {why}", REMEDY) from error
