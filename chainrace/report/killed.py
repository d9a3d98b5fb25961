"""The verdict on a run that was killed before it could write its own."""

from collections.abc import Callable
from pathlib import Path

from chainrace.base.errors import UsageError
from chainrace.report import views
from chainrace.report.folder import is_newer_than_latest, lead_latest_to
from chainrace.report.results import NODE, judge_again, read_node, write_verdict
from chainrace.report.verdict import NAME


def conclude_killed(results: Path, say: Callable[[str], None]) -> None:
    """Judge every killed run in a results folder as far as it went, draw it, and say so.

    Nobody may be at work in the clone. One that cannot be judged is told of, and stays as it is.
    """
    for kept in sorted(results.glob(f"2*/{NODE}")):
        folder = kept.parent
        if (folder / NAME).exists():
            continue
        try:
            verdict = judge_again(folder)
            write_verdict(folder, verdict, read_node(folder), interrupted=True)
        except UsageError as error:
            say(f"results/{folder.name} had been killed, and cannot be judged: {error.what}")
            continue
        views.draw_after(folder, say)
        if is_newer_than_latest(folder):
            lead_latest_to(folder)
        say(f"results/{folder.name} had been killed; {verdict.verdict}: {verdict.reason}")
