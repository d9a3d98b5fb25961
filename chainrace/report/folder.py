"""A results folder: results/<UTC time>, and `latest` that leads to the last one that is whole."""

import os
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from chainrace.base.errors import LabError
from chainrace.base.files import link_whole
from chainrace.report.verdict import NAME

LATEST = "latest"


def check(parent: Path) -> None:
    """Raise LabError where no results can be laid down, before there are any."""
    if os.path.lexists(parent) and not parent.is_dir():
        raise LabError(f"{parent} is no folder", "move it away")
    latest = parent / LATEST
    if os.path.lexists(latest) and not latest.is_symlink():
        raise LabError(f"{latest} is no link to the newest results", "move it away")
    place = parent if parent.exists() else parent.parent
    if not os.access(place, os.W_OK | os.X_OK):
        raise LabError(f"{place} cannot be written to", "make it a folder of your own")


def lead_latest_to(folder: Path) -> None:
    """Let `latest` lead to a folder whose results are whole."""
    link_whole(folder.parent / LATEST, folder.name)


def is_newer_than_latest(folder: Path) -> bool:
    """Whether a folder was begun after the one that `latest` leads to: their names are times."""
    latest = folder.parent / LATEST
    return not latest.is_symlink() or latest.readlink().name < folder.name


class Folder:
    """A new folder of one command's results. Use as a context manager.

    Until its end `latest` leads to an earlier one. What ended early with a verdict counts, too.
    """

    def __init__(self, parent: Path) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
        self.path = parent / now
        number = 1
        while self.path.exists():
            number += 1
            self.path = parent / f"{now}.{number}"
        self.path.mkdir(parents=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        # Where something ended it early, that is what is told, and not what follows from it.
        with nullcontext() if error is None else suppress(OSError):
            if error is None or (self.path / NAME).exists():
                lead_latest_to(self.path)
