"""A process stopped from outside, also one whose first thread cannot take the signal."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from chainrace.gate import stops

NULL = subprocess.DEVNULL
SLEEPS = "import time; time.sleep(60)"
# Its first thread waits in vfork for a child that executes nothing; another one sleeps.
FORKS = (
    "import ctypes, threading, time\n"
    "threading.Thread(target=time.sleep, args=(60,)).start()\n"
    "libc = ctypes.PyDLL(None)\n"
    "libc.vfork() or libc.pause()"
)


@contextmanager
def running(code: str, state: str) -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-ISc", code], stdin=NULL, stdout=NULL) as process:
        deadline = time.monotonic() + 10
        while Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2][0] != state:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.1)  # importing sleeps for moments, too
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        try:
            yield process.pid
        finally:
            for pid in (*map(int, children), process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(("code", "state"), [(SLEEPS, "S"), (FORKS, "D")])
def test_it_has_its_effect_soon(code: str, state: str) -> None:
    with running(code, state) as pid:
        assert not stops.have_effect(pid)
        handle = os.pidfd_open(pid)
        stops.send(pid, handle)
        deadline = time.monotonic() + 1.0
        while not stops.have_effect(pid):
            assert time.monotonic() < deadline
        signal.pidfd_send_signal(handle, signal.SIGCONT)
        os.close(handle)


def test_one_that_has_ended_is_said_to_be_gone() -> None:
    with subprocess.Popen(["true"], stdout=NULL) as process:
        handle = os.pidfd_open(process.pid)
        process.wait()
        with pytest.raises(ProcessLookupError):
            stops.send(process.pid, handle)
        os.close(handle)
    assert stops.have_effect(process.pid)
