"""A results folder: results/<UTC time>, and `latest` that leads to the newest."""

import os
from datetime import UTC, datetime
from pathlib import Path

from chainrace.errors import LabError

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


class Folder:
    """A new folder of one command's results."""

    def __init__(self, parent: Path) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
        self.path = parent / now
        number = 1
        while self.path.exists():
            number += 1
            self.path = parent / f"{now}.{number}"
        self.path.mkdir(parents=True)
        latest = parent / LATEST
        latest.unlink(missing_ok=True)
        latest.symlink_to(self.path.name)
