"""What went wrong, as the page shows it: by failure mode, each with its evidence.

That the outage's original harms kubelet is what it is there to show: its failures are expected.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from chainrace.base.errors import UsageError
from chainrace.base.files import read_input
from chainrace.judge.outcome import WORST_FIRST, FamilyOutcome
from chainrace.judge.verdict import ORIGINAL
from chainrace.model.mode import ENVIRONMENT, HEALTHY
from chainrace.report import timeline, trace, verdict, words
from chainrace.report.document import EXPLORATION
from chainrace.report.nearest import nearest_schedule
from chainrace.report.timeline import Picture
from chainrace.report.trials import SEARCH, Record
from chainrace.report.writing import file_name

# E1121 06:52:16.5 1085 kubelet_network_linux.go:80] "Failed to ensure that KUBE-FIREWALL ..."
TELLING = re.compile(r"iptables|KUBE-|kubelet_network")
MOST_LINES = 40
# Of one failure mode: every one of hundreds of trials would make a page that no phone opens.
MOST_SHOWN = 12
# Of all timelines of a page, in letters.
MOST_OF_STEPS = 16 * 2**20


@dataclass(frozen=True)
class Failure:
    """One failure with its evidence; `replay` is the command for it.

    `nearest`: its schedule is only the nearest to what was seen. `picture` is its timeline, or
    `text` the same as text where there is none; `trace` leads to the timeline as a trace.
    """

    anchor: str
    title: str
    schedule: str
    nearest: bool
    replay: str
    about: tuple[str, ...]
    missing: tuple[str, ...]
    log: str
    picture: Picture | None
    text: str
    trace: str
    where: str


@dataclass(frozen=True)
class Mode:
    """A failure mode of one script. `counted` says how often it was seen.

    `shown` are the failures of which it is the gravest, `more` those that are not shown;
    `shortest` has it, but may stand under a graver one.
    """

    name: str
    meaning: str
    script: str
    shortest: Failure
    counted: tuple[str, ...]
    shown: tuple[Failure, ...]
    more: int


@dataclass(frozen=True)
class Failures:
    """Those of what was to be shown harmless; those of the original, expected; broken trials."""

    unexpected: tuple[Mode, ...]
    expected: tuple[Mode, ...]
    broken: tuple[Failure, ...]
    more_broken: int


@dataclass(frozen=True)
class _Entry:
    """A failure before its evidence is read; `trial`: a randomized trial, no finding.

    `rank`: the first of some by it is the shortest, of findings that came out the same.
    """

    script: str
    modes: tuple[str, ...]
    expected: bool
    trial: bool
    rank: tuple[int, ...]
    build: Callable[[], Failure]


def read(folder: Path, document: verdict.Document, records: Sequence[Record]) -> Failures:
    """All failures of a results folder. Evidence that is damaged or gone is left out."""
    reader = _Reader(folder, document)
    sound = [one for one in records if not _broke(one)]
    broken = [reader.trial(record).build for record in records if _broke(record)]
    entries = [*reader.findings(), *reader.trials(sound)]
    subject = verdict.subject_of(document)
    expected = [one for one in entries if one.expected]
    unexpected = [one for one in entries if not one.expected]
    return Failures(
        unexpected=_modes(unexpected, [one for one in sound if one.script != ORIGINAL], subject),
        expected=_modes(expected, [one for one in sound if one.script == ORIGINAL], subject),
        broken=tuple(build() for build in broken[:MOST_SHOWN]),
        more_broken=max(0, len(broken) - MOST_SHOWN),
    )


def _broke(record: Record) -> bool:
    return record.outcome == ENVIRONMENT


def _modes(entries: Sequence[_Entry], trials: Sequence[Record], subject: str) -> tuple[Mode, ...]:
    """The failure modes of one script, the gravest first; `trials` are all that it had."""
    ordered = sorted(entries, key=lambda one: one.rank)
    first: dict[str, _Entry] = {}
    for one in ordered:
        for name in one.modes:
            first.setdefault(name, one)
    heads = {one.rank for one in first.values()}
    built: dict[tuple[int, ...], Failure] = {}
    mine: dict[str, list[_Entry]] = {name: [] for name in WORST_FIRST}
    for one in ordered:
        mine[one.modes[0]].append(one)
    shown: dict[str, list[_Entry]] = {}
    for name, members in mine.items():
        # The original's trials are shown by one of them.
        many = [one for one in members if not (one.expected and one.trial)] or members[:1]
        ranks = heads.union(one.rank for one in many[:MOST_SHOWN])
        shown[name] = [one for one in members if one.rank in ranks]
        built |= {one.rank: one.build() for one in shown[name]}
    return tuple(
        Mode(
            name=name,
            meaning=words.meaning(name, subject),
            script=first[name].script,
            shortest=built[first[name].rank],
            counted=_counted([one for one in entries if name in one.modes], trials),
            shown=tuple(built[one.rank] for one in shown[name]),
            more=len(mine[name]) - len(shown[name]),
        )
        for name in WORST_FIRST
        if name in first
    )


def _counted(entries: Sequence[_Entry], trials: Sequence[Record]) -> tuple[str, ...]:
    """`2 findings`, `seen in 12 of 25 trials`."""
    tried = sum(one.trial for one in entries)
    found = len(entries) - tried
    said = [f"{found} finding{'s' * (found > 1)}"] if found else []
    # The rates leave them out.
    searched = any(one.phase == SEARCH for one in trials)
    if tried:
        said.append(f"seen in {tried} of {len(trials)} trials{', the search too' * searched}")
    return tuple(said)


class _Reader:
    """Builds the failures of one results folder."""

    def __init__(self, folder: Path, document: verdict.Document) -> None:
        self._folder = folder
        self._document = document
        self._labels = {arm.script: arm.label for arm in verdict.arms(document)}
        self._left = MOST_OF_STEPS

    def findings(self) -> Iterator[_Entry]:
        for one in verdict.findings_in(self._document):
            found = one.finding
            same = found["replays_with_the_same_end"] == found["replays"] > 0
            yield _Entry(
                script=one.script,
                modes=_gravest_first(found["modes"]),
                expected=verdict.reproduces(self._document, one.script),
                trial=False,
                rank=(not same, 0, *verdict.cost_of(found["schedule"]), one.number),
                build=partial(self._found, one),
            )

    def trials(self, records: Iterable[Record]) -> Iterator[_Entry]:
        return (self.trial(record) for record in records if record.outcome != HEALTHY)

    def trial(self, record: Record) -> _Entry:
        """A randomized trial that did not end healthy."""
        evidence = self._folder / "trials" / f"{record.number:04d}-{record.script}"
        schedule = nearest_schedule(self._folder, evidence / "watch.json")
        seen = (name for family in record.families.values() for name in family.modes)
        return _Entry(
            script=self._labels.get(record.script, record.script),
            modes=_gravest_first([record.outcome, *seen]),
            expected=record.script == ORIGINAL,
            trial=True,
            rank=(0, 1, *verdict.cost_of(schedule), record.number),
            build=partial(self._tried, record, evidence, schedule),
        )

    def _found(self, numbered: verdict.Numbered) -> Failure:
        script, finding = numbered.script, numbered.finding
        same, replays = finding["replays_with_the_same_end"], finding["replays"]
        about = [
            f"replayed: the same end in {same} of {replays}",
            f"end states of this failure mode: {finding['end_states']}",
        ]
        subject = verdict.subject_of(self._document)
        if monitor := finding["monitor"]:
            about.append(
                words.repaired(
                    subject,
                    healed=monitor["healed"],
                    looked=monitor.get("looked", True),
                    seconds=monitor.get("seconds"),
                )
            )
        if said := words.consumer(subject, finding["azure_npm_finds"]):
            about.append(said)
        if race := verdict.explored_in(self._document).get(script, {}).get("race"):
            about.append(f"schedule in full: {race}: {finding['schedule']}")
        named = f"{file_name(script)}-{finding['family']}-"
        evidence = _evidence_of(
            self._folder,
            named if self._document["kind"] == EXPLORATION else "",
            finding["schedule"],
        )
        picture = self._picture(evidence)
        # Where there is none, it stands for the folder of all.
        where = "" if evidence == self._folder else str(evidence.relative_to(self._folder))
        modes = ", ".join(finding["modes"])
        return Failure(
            anchor=f"finding-{numbered.number}",
            title=f"{numbered.number} · {script}, {finding['family']}: {modes}",
            schedule=finding["schedule"],
            nearest=False,
            replay=verdict.again(self._document, self._folder, numbered),
            about=tuple(about),
            missing=tuple(finding["missing"]),
            log=_log(self._folder, evidence / "kubelet.log"),
            picture=picture,
            text="" if picture else _text(self._folder, evidence / "timeline.txt"),
            trace=quote(f"{where}/{trace.NAME}", errors="replace") if picture else "",
            where=where,
        )

    def _picture(self, evidence: Path) -> Picture | None:
        """A finding's timeline; None where its steps are gone, damaged, or too many."""
        try:
            steps = timeline.read(self._folder, evidence)
        except UsageError:
            return None
        letters = sum(one.letters for one in steps)
        if letters > self._left:
            return None
        self._left -= letters
        return timeline.lay_out(steps)

    def _tried(self, record: Record, evidence: Path, schedule: str) -> Failure:
        about = [f"start offset {record.offset:.3f} s: after kubelet's first iptables process"]
        about += [found.cause for found in record.families.values() if found.cause]
        if record.error:
            about.append(f"the environment broke: {record.error}")
        if record.azure_npm is not None:
            about.append(f"azure-npm {'starts' if record.azure_npm else 'does not start'} on it")
        label = self._labels.get(record.script, record.script)
        return Failure(
            anchor=f"trial-{record.number}",
            title=f"trial {record.number}, {label}: {record.outcome}",
            schedule=schedule,
            nearest=True,
            replay=verdict.replay_of(self._document, self._folder, label, schedule),
            about=tuple(about),
            missing=tuple(_missing(record.families)),
            log=_log(self._folder, evidence / "kubelet.log"),
            picture=None,
            text=_text(self._folder, evidence / "timeline.txt"),
            trace="",
            where=str(evidence.relative_to(self._folder)),
        )


def _gravest_first(names: Iterable[str]) -> tuple[str, ...]:
    """The failure modes among some names of outcomes."""
    there = set(names) - {HEALTHY, ENVIRONMENT}
    return tuple(name for name in WORST_FIRST if name in there) or (HEALTHY,)


def _missing(families: Mapping[str, FamilyOutcome]) -> Iterator[str]:
    for family, found in families.items():
        yield from (f"{family}: {entry}" for entry in found.missing)


def _evidence_of(folder: Path, prefix: str, schedule: str) -> Path:
    """The folder of a finding's last replay. Two scripts can fail by the same schedule."""
    try:
        kept = sorted((folder / timeline.FINDINGS).iterdir())
    except OSError:
        return folder
    for one in kept:
        # Earlier versions named them by the script as it is.
        named = one.name.startswith((file_name(prefix) if prefix else "", prefix))
        if named and _text(folder, one / "schedule.txt").strip() == schedule:
            return one
    return folder


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
