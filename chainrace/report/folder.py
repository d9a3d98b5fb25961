"""A results folder: results/<UTC time>, and `latest` that leads to the newest."""

from datetime import UTC, datetime
from pathlib import Path


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
        latest = parent / "latest"
        latest.unlink(missing_ok=True)
        latest.symlink_to(self.path.name)
