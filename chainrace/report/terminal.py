"""What a run says on the terminal: steps, progress, and the closing table."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from chainrace.base.errors import in_one_line
from chainrace.base.narration import listen
from chainrace.base.text import clean
from chainrace.judge.explored import Explored, Finding
from chainrace.judge.progress import Progress as ExplorationProgress
from chainrace.judge.replayed import Replayed
from chainrace.judge.verdict import FIXED, ORIGINAL, Arm, Verdict
from chainrace.report import words
from chainrace.report.comparison import Change
from chainrace.report.sidebyside import side_by_side
from chainrace.report.trials import Progress
from chainrace.report.verdict import Numbered

LOG_WIDTH = 120
COLOURS = {
    "confirmed": "green",
    "refuted": "red",
    "not reproduced": "yellow",
    "inconclusive": "yellow",
    "not exposed": "green",
    "harmless": "green",
    "harmful": "red",
    "unfinished": "yellow",
    "not proved": "yellow",
    "not exercised": "yellow",
}


class Terminal:
    """Plain lines, coloured where the terminal can (NO_COLOR is honoured by rich).

    Standard output has the report and the answer. What is under way (steps, trials, bars) goes
    to standard error where standard output is a file or a pipe.
    `quiet` leaves the answer alone; `verbose` adds what is run on the host and on nodes.
    """

    def __init__(
        self, *, as_json: bool = False, quiet: bool = False, verbose: bool = False
    ) -> None:
        # With --json standard output is data alone; the story goes to standard error.
        file = sys.stderr if as_json else sys.stdout
        self._as_json = as_json
        self._quiet = quiet
        if verbose:
            listen()
        # A log has no width of its own: wide enough for the closing table.
        width = None if file.isatty() else LOG_WIDTH
        self._console = Console(file=file, width=width)
        # On a terminal one console for both: two would write through each other's bars.
        self._aside = (
            self._console
            if self._console.is_terminal
            else Console(stderr=True, width=None if sys.stderr.isatty() else LOG_WIDTH)
        )
        self._bar: Bar | None = None
        self._bar_task = TaskID(0)

    def note(self, text: str) -> None:
        """Print a line of what is under way; a bar that stands there is ended first."""
        if not self._quiet:
            self._end_bar()
            self._print(self._aside, text)

    def say(self, text: str) -> None:
        """Print a line of the report."""
        if not self._quiet:
            self.answer(text)

    def data(self, document: object) -> None:
        """Print what a command found as JSON, where that was asked for."""
        if self._as_json:
            print(json.dumps(document))

    def answer(self, text: str) -> None:
        """Print a line of what was asked for."""
        self._end_bar()
        self._print(self._console, text)

    @staticmethod
    def _print(console: Console, text: str) -> None:
        console.print(clean(text), markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """A long step: what it does while it lasts, and how long it took."""
        started = time.monotonic()
        if self._aside.is_terminal and not self._quiet:
            self._end_bar()
            columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            with Bar(*columns, console=self._aside, transient=True) as bar:
                bar.add_task(escape(clean(text)), total=None)
                yield
        else:
            self.note(f"… {text}")
            yield
        self.note(f"✓ {text} ({time.monotonic() - started:.0f} s)")

    def trial(self, progress: Progress) -> None:
        """One line a trial, and how far the run is."""
        record = progress.record
        left = ""
        if progress.left_seconds is not None:
            left = f", {progress.left_seconds:.0f} s left"
        detail = f": {record.error}" if record.error else ""
        self.note(
            f"  {record.number:4d} {record.phase} {record.script:<8} "
            f"start offset {record.offset:6.3f} s  {record.outcome}{detail}  "
            f"[{progress.done:.0%}{left}]"
        )
        if self._aside.is_terminal and not self._quiet:
            self._show_bar(f"trials{left}", progress.done, 1.0)

    def exploring(self, progress: ExplorationProgress) -> None:
        """How far an exploration is, as a bar; nothing where nobody watches."""
        if self._quiet or not self._aside.is_terminal:
            return
        about = (
            f"{progress.family}: {progress.states} states found, {progress.open} steps open, "
            f"{progress.elapsed:.0f} s{_time_left(progress)}"
            f"{', harm seen: ' + ', '.join(progress.harm) if progress.harm else ''}"
        )
        self._show_bar(about, progress.transitions, progress.transitions + progress.open)
        if progress.open == 0:
            self._end_bar()

    def _show_bar(self, about: str, completed: float, total: float) -> None:
        if self._bar is None:
            self._bar = Bar(BarColumn(), TextColumn("{task.description}"), console=self._aside)
            self._bar.start()
            self._bar_task = self._bar.add_task(about)
        self._bar.update(self._bar_task, description=about, completed=completed, total=total)
        if completed >= total:
            self._end_bar()

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def explored(self, explored: Explored) -> None:
        """What the exploration showed of one script."""
        self._end_bar()
        self.say(f"\n{explored.script}: {explored.commands} commands when it runs alone")
        self._about(explored)
        for graph in explored.graphs:
            state = "all of them" if graph.complete else f"{graph.open} steps still open"
            if graph.preemptions is not None:
                state += f", at most {graph.preemptions} preemptions"
            ends = ", ".join(f"{count} {name}" for name, count in sorted(graph.modes().items()))
            self.say(
                f"  {graph.family}: {graph.states} states, {graph.interleavings} ways "
                f"through them ({state}); end states: {ends or '-'}"
            )
        for name, finding in explored.shortest().items():
            self.say(f"  {name}: {finding.schedule}   ({finding.family})")
            for line in finding_lines(finding, explored.subject):
                self.say(f"      {line}")
        for finding in explored.findings:
            if not finding.reproduced:
                self.say(
                    f"  not reproduced each time: {finding.schedule}, the same end in "
                    f"{finding.same} of {finding.replays} replays"
                )

    def _about(self, explored: Explored) -> None:
        """Of whom its schedules are, and what is odd about a script."""
        if explored.race:
            self.say(f"  schedules are of {explored.race}")
        if explored.remark:
            self.say(f"  note: {explored.remark}")
        if explored.unexercised:
            self.say(f"  not exercised: {explored.unexercised}")
        self.doubts(explored.doubts)
        for said in explored.alone:
            self.say(f"  alone, and no harm of {explored.subject}'s: {said}")

    def doubts(self, doubts: Sequence[str]) -> None:
        """Why nothing is proved, a line each."""
        for doubt in doubts:
            self.say(f"  not proved: {doubt}")

    def findings(self, findings: Sequence[Numbered], replays: Sequence[str]) -> None:
        """Each finding with the command that runs it again."""
        for one, command in zip(findings, replays, strict=True):
            self.say(f"finding {one}")
            self.say(f"    {command}")

    def replayed(self, replayed: Replayed, number: int, times: int) -> None:
        """The timeline of a replay (of the first of many), and what it led to."""
        if number == 1:
            for line in side_by_side(replayed):
                self.say(line)
        for family, one in replayed.outcome.families.items():
            lost = f"; missing: {', '.join(one.missing)}" if one.missing else ""
            self.answer(f"{number:3d} of {times} {family}: {', '.join(one.modes)}{lost}")

    def known_bad_lines(self, known_bad_lines: Sequence[Mapping[str, Any]]) -> None:
        """What is known to be bad of what the node said, whatever the verdict is."""
        for one in known_bad_lines:
            why = f"expected, {one['expected']}: " if one.get("expected") else ""
            self.say(f"{one['node']}: {why}{one['means']} ({one['times']} times): {one['first']}")

    def closing(self, verdict: str, reason: str, where: str) -> None:
        """The closing verdict, and where the evidence lies."""
        if not self._quiet:
            self._console.print()
        # Some reasons begin with the verdict.
        said = reason.removeprefix(f"{verdict}: ")
        self._console.print(
            f"[bold {COLOURS[verdict]}]{verdict}[/]: {escape(clean(said))}",
            highlight=False,
            soft_wrap=True,
        )
        self.say(f"evidence: {where}")

    def table(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Rows that all have the same columns, a line each."""
        if self._as_json:
            self.data([dict(row) for row in rows])
            return
        table = Table(*(rows[0] if rows else ()), box=None, pad_edge=False)
        for row in rows:
            table.add_row(*map(_shown, row.values()))
        self._console.print(table)

    def changes(self, changes: Sequence[Change], before: str, after: str) -> None:
        """What is not as it was, a line each."""
        self.say(f"{before} → {after}")
        for change in changes:
            mark = "changed" if change.matters else "version"
            self.answer(f"  {mark}  {change.what}: {change.before} → {change.after}")
        if not changes:
            self.answer("  nothing changed")
        self.data([asdict(change) for change in changes])

    def verdict(self, verdict: Verdict, lines: Mapping[str, str], where: str) -> None:
        """The closing table of the trials, a line on each part of the system, the verdict."""
        if not self._quiet:
            self._arms(verdict)
        for part, line in lines.items():
            self.say(f"{part}: {line}")
        if verdict.environment:
            self.say(f"{verdict.environment} trials broke and count nowhere")
        self.closing(verdict.verdict, verdict.reason, where)

    def _arms(self, verdict: Verdict) -> None:
        table = Table(box=None, pad_edge=False)
        for heading in (
            "script",
            "trials",
            "outcomes",
            "failed",
            "95 % confidence interval",
            "with 95 % confidence below",
            "azure-npm down",
        ):
            table.add_column(
                heading, justify="left" if heading in ("script", "outcomes") else "right"
            )
        for name, arm in ((ORIGINAL, verdict.original), (FIXED, verdict.fixed)):
            table.add_row(*_row(name, arm))
        self._console.print()
        if verdict.original.trials or verdict.fixed.trials:
            self._console.print(table)
            self._console.print()


def _shown(name: str) -> str:
    """The name of a file in a table, whatever it consists of."""
    return escape(in_one_line(name))


def _time_left(progress: ExplorationProgress) -> str:
    """At least the time of what is open already; what that opens is not known."""
    if not progress.executed:
        return ""
    known = progress.open * progress.elapsed / progress.executed
    budget = "" if progress.left is None else f", {progress.left:.0f} s of the budget"
    return f", at least {known:.0f} s left{budget}"


def finding_lines(finding: Finding, subject: str) -> Iterator[str]:
    """What a finding means for the node, a line each."""
    if finding.outcome.cause:
        yield f"{subject}: {finding.outcome.cause}"
    yield f"missing: {', '.join(finding.outcome.missing) or 'nothing'}"
    healing = finding.healing
    if healing is not None:
        yield words.repaired(
            subject, healed=healing.healed, looked=healing.looked, seconds=healing.seconds
        )
        if healing.looked and healing.missing:
            yield f"still missing then: {', '.join(healing.missing)}"
    if said := words.consumer(subject, finding.detected_by):
        yield said
    yield f"replayed: the same end in {finding.same} of {finding.replays}"


def _row(name: str, arm: Arm) -> tuple[str, ...]:
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in arm.outcomes.items())
    # What clean trials are worth: the bound on the rate of any failure.
    bound = f"{arm.clean_bound:.1%}" if arm.failures == 0 else ""
    return (
        name,
        str(arm.trials),
        outcomes or "-",
        f"{arm.rate.value:.0%}",
        f"{arm.rate.low:.1%} to {arm.rate.high:.1%}",
        bound,
        f"{arm.azure_npm_failed} of {arm.azure_npm_tried}" if arm.azure_npm_tried else "",
    )
