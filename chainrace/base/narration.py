"""What -v tells: each command on the host and on a node, with its seconds."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_LOG = logging.getLogger("chainrace")


def listen() -> None:
    """From now on print what is run to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    _LOG.handlers = [handler]
    _LOG.setLevel(logging.DEBUG)
    _LOG.propagate = False


@contextmanager
def running(where: str, command: str, about: object = "") -> Iterator[None]:
    """A command of the host or of a node, told when it has ended; `about` are its arguments."""
    started = time.monotonic()
    try:
        yield
    finally:
        _LOG.debug("%s: %s %s (%.2f s)", where, command, about, time.monotonic() - started)
