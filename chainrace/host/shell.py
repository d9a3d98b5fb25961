"""Runs programs of the host; a failure becomes one line and a log to read."""

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from chainrace.errors import LabError

# In the environment of whoever holds a clone, and of all that they call (holding.py).
MARK = "CHAINRACE_CLONE"
# Instead of it, in that of what must not be ended in its middle.
FINISHES = "CHAINRACE_FINISHES"


def as_root(command: Sequence[str]) -> list[str]:
    """The same command with root's rights: as it is for root, else through sudo.

    sudo would drop the clone's mark.
    """
    if os.geteuid() == 0:
        return list(command)
    mark = [f"{MARK}={os.environ[MARK]}"] if MARK in os.environ else []
    return ["sudo", "-n", "env", *mark, *command]


def run(
    command: Sequence[str],
    *,
    remedy: str,
    timeout: float,
    log: Path | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a program to its end and return its standard output.

    `timeout` is in seconds. With `log` both its streams go into that file instead
    and the result is empty. Raises LabError with the last lines of what the program
    said when it fails, is missing, or outlasts its time.
    """
    shown = shlex.join(command)
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with nullcontext(subprocess.PIPE) if log is None else log.open("w") as sink:
            done = subprocess.run(
                command,
                stdout=sink,
                stderr=subprocess.PIPE if log is None else subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                timeout=timeout,
                cwd=cwd,
                env={**os.environ, "PATH": _path(), **(env or {})},
                check=False,
            )
    except FileNotFoundError as error:
        raise LabError(
            f"{command[0]} is not on this machine ({shown})",
            "./lab doctor says what is missing, ./lab setup installs it",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{shown} did not end within {timeout:.0f} s", remedy) from error
    if done.returncode != 0:
        said = tail(log) if log else done.stderr.strip() or done.stdout.strip()
        where = f" (whole output: {log})" if log else ""
        last = said.splitlines()[-1] if said else "it said nothing"
        raise LabError(f"{shown} failed with {done.returncode}: {last}{where}", remedy)
    return done.stdout or ""


def send(pids: Sequence[str], signal_name: str) -> None:
    """Send a signal (`TERM`) to processes, root's too. One that has ended is no failure."""
    # The shell's own kill: a minimal Debian has no program of this name.
    command = ["sh", "-c", 'kill "$@"', "kill", f"-{signal_name}", *pids]
    subprocess.run(as_root(command), capture_output=True, check=False)


def _path() -> str:
    """Where programs are looked for: Debian leaves mkfs out of the path of who is not root."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def tail(path: Path, lines: int = 8) -> str:
    """The last lines of a log, or nothing where there is none to read."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except (FileNotFoundError, PermissionError):
        return ""
