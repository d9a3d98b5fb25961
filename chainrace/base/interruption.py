"""What ends a command before its own end."""

import os
import signal
import time
from contextlib import suppress
from types import FrameType

# As shells have it: 128 and the number of SIGINT.
INTERRUPTED_EXIT = 130
# Whoever calls a command often says the same again at once: tox does, and a terminal's Ctrl-C
# comes beside the one that is handed on. A person who insists takes longer.
ECHO_SECONDS = 2.0


def end_as_by_ctrl_c() -> None:
    """Let SIGTERM and SIGHUP end this process as Ctrl-C does: what was measured is kept.

    One end counts once, or the clean-up after it would be cut short. A signal that is ignored
    stays so: nohup(1) means it, and so does a shell that starts something in the background.
    """
    interruption = _Interruption()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interruption)


class _Interruption:
    """A signal handler that raises KeyboardInterrupt, but not for an echo."""

    def __init__(self) -> None:
        self._last = -ECHO_SECONDS

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _without_terminal()
        echo = time.monotonic() - self._last < ECHO_SECONDS
        self._last = time.monotonic()
        if not echo:
            # At once: what is kept may take seconds to be written.
            with suppress(OSError):
                os.write(2, b"\nlab: stopping\n")
            signal.default_int_handler(number, frame)


def _without_terminal() -> None:
    """The terminal is gone: what is said on the way out must not fail for it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        if os.isatty(stream):
            os.dup2(nowhere, stream)
    os.close(nowhere)
