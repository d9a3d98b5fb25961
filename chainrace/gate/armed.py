"""The script's own unit: started with its shell waiting at a pipe, fired on demand."""

from __future__ import annotations

import os
import subprocess

from chainrace.gate.process import SCRIPT_UNIT
from chainrace.gate.rules import NodeError, run

FIRE = "/run/chainrace/fire"


def main_pid(unit: str) -> int:
    """The process that systemd takes for a unit's own."""
    return int(run(["systemctl", "show", "-P", "MainPID", unit]).strip())


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
        self.ended: float | None = None
        self.code: int | None = None
        # One may be left of an agent that was killed while it was armed.
        self.close()
        run(
            [
                *("systemd-run", "--quiet", "--collect", f"--unit={SCRIPT_UNIT}"),
                *("--property=Type=exec", "/bin/sh", "-c"),
                *(f'read -r _ <{FIRE}; exec "$0"', script),
            ]
        )
        self.pid = main_pid(SCRIPT_UNIT)

    def fire(self) -> None:
        """Let it run."""
        with open(os.open(FIRE, os.O_RDWR), "w", encoding="ascii") as fifo:
            fifo.write("now\n")

    def close(self) -> None:
        """End the unit; most often it is gone already, and that is no error."""
        subprocess.run(["systemctl", "stop", SCRIPT_UNIT], stderr=subprocess.DEVNULL, check=False)

    def __enter__(self) -> ArmedScript:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
