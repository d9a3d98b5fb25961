"""What a run says on the terminal: steps, progress, and the closing table."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from chainrace.chance import Progress
from chainrace.race.verdict import FIXED, ORIGINAL, Arm, Verdict

LOG_WIDTH = 120
COLOURS = {"confirmed": "green", "refuted": "red", "inconclusive": "yellow"}


class Terminal:
    """Plain lines, coloured where the terminal can (NO_COLOR is honoured by rich)."""

    def __init__(self, *, as_json: bool = False) -> None:
        # With --json standard output is data alone; the story goes to standard error.
        file = sys.stderr if as_json else sys.stdout
        # A log has no width of its own: wide enough for the closing table.
        width = None if file.isatty() else LOG_WIDTH
        self._console = Console(file=file, width=width)

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """A long step: what it does while it lasts, and how long it took."""
        started = time.monotonic()
        if self._console.is_terminal:
            with self._console.status(text):
                yield
        else:
            self.say(f"… {text}")
            yield
        self.say(f"✓ {text} ({time.monotonic() - started:.0f} s)")

    def trial(self, progress: Progress) -> None:
        """One line a trial, and how far the run is."""
        record = progress.record
        left = ""
        if progress.left_seconds is not None:
            left = f", {progress.left_seconds:.0f} s left"
        detail = f": {record.error}" if record.error else ""
        self.say(
            f"  {record.number:4d} {record.phase} {record.script:<8} "
            f"fired at {record.moment:6.3f} s  {record.outcome}{detail}  "
            f"[{progress.done:.0%}{left}]"
        )

    def verdict(self, verdict: Verdict, where: str) -> None:
        """The closing table and the word."""
        table = Table(box=None, pad_edge=False)
        for heading in (
            "script",
            "trials",
            "outcomes",
            "failed",
            "95 % bounds",
            "so below",
        ):
            table.add_column(
                heading, justify="left" if heading in ("script", "outcomes") else "right"
            )
        for name, arm in ((ORIGINAL, verdict.original), (FIXED, verdict.fixed)):
            table.add_row(*_row(name, arm))
        self._console.print()
        self._console.print(table)
        self._console.print()
        if verdict.environment:
            self.say(f"{verdict.environment} trials broke and count nowhere")
        self._console.print(
            f"[bold {COLOURS[verdict.word]}]{verdict.word}[/]: {verdict.reason}",
            highlight=False,
            soft_wrap=True,
        )
        self.say(f"evidence: {where}")


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
    )
