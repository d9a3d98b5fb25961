"""The script's own unit: started with its shell waiting at a pipe, started on demand."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress

from chainrace.gate.process import SCRIPT_UNIT
from chainrace.gate.shell import PROGRAM_SECONDS, NodeError, run
from chainrace.gate.units import main_pid

FIRE = "/run/chainrace/fire"
LOOK_SECONDS = 0.01


class ArmedScript:
    """A script about to run in a unit of its own. Use as a context manager.

    `pid` is its process from the first line to the last, `ended` and `code` how and
    when that was gone.
    """

    def __init__(self, script: str) -> None:
        """Start the unit. Raises NodeError where the script cannot be run."""
        if not os.access(script, os.X_OK):
            raise NodeError(f"{script} is not an executable file on this node")
        if not os.path.exists(FIRE):
            os.mkfifo(FIRE, 0o600)
        self._shell: int | None = None
        self.ended: float | None = None
        self.code: int | None = None
        # One may be left of an agent that was killed while it was armed.
        self.close()
        # A drop-in of the user's may make it a oneshot that other units wait for: its
        # job has ended then only when the script has.
        run(
            [
                *("systemd-run", "--quiet", "--collect", "--no-block", f"--unit={SCRIPT_UNIT}"),
                *("--property=Type=exec", "/bin/sh", "-c"),
                *(f'read -r _ <{FIRE}; exec "$0"', script),
            ]
        )
        self._shell = self._when_it_reads()
        self.pid = main_pid(SCRIPT_UNIT)

    @staticmethod
    def _when_it_reads() -> int:
        """The pipe's end, when the shell has opened its own (fifo(7): ENXIO before)."""
        deadline = time.monotonic() + PROGRAM_SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError):
                return os.open(FIRE, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            time.sleep(LOOK_SECONDS)
        raise NodeError(f"{SCRIPT_UNIT} did not start within {PROGRAM_SECONDS} s")

    def fire(self) -> None:
        """Let it run."""
        assert self._shell is not None  # noqa: S101 - for the type
        os.write(self._shell, b"now\n")

    def close(self) -> None:
        """End the unit; most often it is gone already, and that is no error."""
        subprocess.run(["systemctl", "stop", SCRIPT_UNIT], stderr=subprocess.DEVNULL, check=False)
        if self._shell is not None:
            os.close(self._shell)
            self._shell = None

    def __enter__(self) -> ArmedScript:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
