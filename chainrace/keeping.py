"""Whether a node stays up after a command, and whether its user gets a shell on it first."""

from dataclasses import dataclass
from typing import Literal

Keep = Literal["never", "failed", "always"]


@dataclass
class Keeping:
    """What the call asked for, and `failed` as whoever judges has told."""

    keep: Keep = "never"
    shell: bool = False
    failed: bool = False

    @property
    def stays(self) -> bool:
        """Whether what was brought up is left running."""
        return self.keep == "always" or (self.keep == "failed" and self.failed)
