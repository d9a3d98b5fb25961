"""All views of a verdict, drawn from its results folder."""

from pathlib import Path

from chainrace.report import junit, page, picture


def draw(folder: Path) -> Path:
    """Draw report.html, map.png and junit.xml into a results folder; returns the page.

    Raises UsageError for a folder without a verdict.
    """
    document = page.read_verdict(folder)
    picture.write(
        folder, page.grids_of(document), f"{document['verdict']} · {folder.resolve().name}"
    )
    junit.write(folder, document)
    return page.write(folder)
