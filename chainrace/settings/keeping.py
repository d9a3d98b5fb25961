"""Whether a node stays up after a command, and whether its user gets a shell on it first."""

from dataclasses import dataclass
from typing import Literal

Keep = Literal["never", "failed", "always"]


@dataclass
class Keeping:
    """What the call asked for; `failure` is the sentence on what failed, by whoever judges."""

    keep: Keep = "never"
    shell: bool = False
    failure: str = ""

    @property
    def stays(self) -> bool:
        """Whether what was brought up is left running."""
        return self.keep == "always" or (self.keep == "failed" and bool(self.failure))
