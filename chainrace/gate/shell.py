"""Runs programs of the node."""

import subprocess

PROGRAM_SECONDS = 60
# The seconds that a user's own command may take.
COMMAND_SECONDS = 30.0
# The gate's thread must answer for the lab's own programs, too: with vfork(2) the whole process
# waits until the kernel has let them be executed, and so it does with posix_spawn(3), which
# Python 3.13 takes for a program with a path. (subprocess has both switches.)
for _switch in ("_USE_VFORK", "_USE_POSIX_SPAWN"):
    setattr(subprocess, _switch, False)


class NodeError(Exception):
    """The node cannot do what a trial needs; the lab counts it as environment."""


def run(command: list[str], text: str = "") -> str:
    """Run a program of the node and return what it prints. Raises NodeError."""
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=PROGRAM_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NodeError(f"{' '.join(command)}: {error}") from error
    if done.returncode != 0:
        said = done.stderr.strip()
        raise NodeError(f"{' '.join(command)} failed with {done.returncode}: {said}")
    return done.stdout


def run_command(line: str) -> int:
    """The exit code of a user's own command; 124 where it did not end in time."""
    try:
        return subprocess.run(
            ["/bin/sh", "-c", line],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return 124
