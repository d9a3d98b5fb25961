"""How long a node may take for an answer, and how much it may say: it is not to be trusted."""

import time

# Of one command (both its streams) and of one answer of the agent's. A trial's has some 100 KiB.
MOST_BYTES = 64 * 2**20
SAYS_TOO_MUCH = f"said more than {MOST_BYTES // 2**20} MiB"


class Deadline:
    """The end of the wait for one whole answer, in however many pieces it comes."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """The seconds that are left, more than none. Raises TimeoutError where none are."""
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds
