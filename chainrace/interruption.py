"""What ends a command before its own end."""

import os
import signal
from types import FrameType

# As shells have it: 128 and the number of SIGINT.
INTERRUPTED_EXIT = 130


def end_as_by_ctrl_c() -> None:
    """Let SIGTERM and SIGHUP end this process as Ctrl-C does: what was measured is kept.

    One that is ignored stays so: nohup(1) means it.
    """
    for number, handler in (
        (signal.SIGTERM, signal.default_int_handler),
        (signal.SIGHUP, _hung_up),
    ):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _hung_up(number: int, frame: FrameType | None) -> None:
    """The terminal is gone: what is said on the way out must not fail for it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        if os.isatty(stream):
            os.dup2(nowhere, stream)
    os.close(nowhere)
    signal.default_int_handler(number, frame)
