"""Runs programs of the node."""

import subprocess

PROGRAM_SECONDS = 60
# The gate's thread must answer for the lab's own programs, too: with vfork(2) the whole process
# waits until the kernel has let them be executed. (Python 3.11's subprocess has this switch.)
setattr(subprocess, "_USE_VFORK", False)  # noqa: B010


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
