"""An end counts once, however often it is said at once."""

import signal
import subprocess
import sys

import pytest

from chainrace.base.paths import REPOSITORY

# Cleans up for a second after an interruption, and says so.
CLEANS = """
import time
from chainrace.base.interruption import end_as_by_ctrl_c
end_as_by_ctrl_c()
try:
    print("begun", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    time.sleep(1)
    print("clean", flush=True)
"""


def hear_all() -> None:
    """A child of its own hears every signal, whatever its parent ignores."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_is_said_twice_at_once_does_not_cut_the_clean_up_short(
    number: signal.Signals,
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CLEANS],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        # Whoever started pytest in the background, or by nohup, had it ignore these.
        preexec_fn=hear_all,  # noqa: PLW1509
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(number)
    assert process.stdout.readline() == "interrupted\n"
    process.send_signal(number)
    assert process.communicate(timeout=30)[0] == "clean\n"
    assert process.returncode == 0
