"""All views of a verdict, drawn from its results folder."""

from collections.abc import Callable
from pathlib import Path

from chainrace.base.errors import LabError
from chainrace.base.files import write_whole
from chainrace.report import junit, page, picture, timeline, trace, verdict


def draw(folder: Path) -> Path:
    """Draw report.html, map.png and junit.xml into a results folder; returns the page.

    Beside each finding's steps their trace.json is drawn, too. Nothing is written before all of
    them are drawn. Raises UsageError for a folder without a verdict, LabError where a view cannot
    be written.
    """
    document = verdict.read(folder)
    title = f"{document['verdict']} · {folder.resolve().name}"
    views = {
        picture.NAME: picture.render(page.grids_of(document), title),
        junit.NAME: junit.render(document),
        page.NAME: page.draw(folder),
        **{f"{place}/{trace.NAME}": trace.render(steps) for place, steps in timeline.kept(folder)},
    }
    for name, data in views.items():
        if data is not None:
            _write(folder / name, data)
    return folder / page.NAME


def _write(file: Path, data: str | bytes) -> None:
    try:
        write_whole(file, data)
    except OSError as error:
        raise LabError(
            f"{file} cannot be written: {error.strerror}", "make room for it, and draw again"
        ) from error


def draw_after(folder: Path, say: Callable[[str], None]) -> None:
    """The same at the end of a run, whose outcome no fault in a drawing may hide."""
    try:
        draw(folder)
    except Exception as error:  # noqa: BLE001 - it is told, and the run's own end goes on
        say(f"report.html was not drawn: {error}; ./lab report {folder} tries again")
