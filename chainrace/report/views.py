"""All views of a verdict, drawn from its results folder."""

from collections.abc import Callable
from pathlib import Path

from chainrace.report import junit, page, picture, verdict


def draw(folder: Path) -> Path:
    """Draw report.html, map.png and junit.xml into a results folder; returns the page.

    Raises UsageError for a folder without a verdict.
    """
    document = verdict.read(folder)
    picture.write(
        folder, page.grids_of(document), f"{document['verdict']} · {folder.resolve().name}"
    )
    junit.write(folder, document)
    return page.write(folder)


def draw_after(folder: Path, say: Callable[[str], None]) -> None:
    """The same at the end of a run, whose outcome no fault in a drawing may hide."""
    try:
        draw(folder)
    except Exception as error:  # noqa: BLE001 - it is told, and the run's own end goes on
        say(f"report.html was not drawn: {error}; ./lab report {folder} tries again")
