"""Runs programs of the host; a failure becomes one line and a log to read."""

import os
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import IO

from chainrace.base.errors import LabError
from chainrace.base.narration import running

# What is ended by its group is asked first.
END_SECONDS = 10.0
LOOK_SECONDS = 0.05
# Of a log's end: a node may have a say in how long it is.
TAIL_BYTES = 1 << 16
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
    called: str = "",
) -> str:
    """Run a program to its end and return its standard output.

    `timeout` is in seconds. Errors name the command, or what it is `called`. With `log` both its
    streams go into that file instead and the result is empty. Raises LabError with the last lines
    of what the program said when it fails, is missing, or outlasts its time.
    """
    shown = called or shlex.join(command)
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            running("host", shlex.join(command)),
            nullcontext(subprocess.PIPE) if log is None else log.open("w") as sink,
        ):
            done = to_its_end(
                command,
                timeout=timeout,
                stdout=sink,
                stderr=subprocess.PIPE if log is None else subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, "PATH": _path(), **(env or {})},
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
    return done.stdout


def to_its_end(
    command: Sequence[str],
    *,
    timeout: float,
    stdout: IO[str] | int,
    stderr: IO[str] | int,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; what ends this earlier ends it, too, with all that it has called.

    `timeout` is in seconds; past it raises subprocess.TimeoutExpired.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        text=True,
        errors="replace",
        cwd=cwd,
        env=env,
        # In this session still: sudo may know its user by the terminal.
        process_group=0,
    ) as process:
        try:
            said, complained = process.communicate(timeout=timeout)
        except BaseException:
            _end_group(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, said or "", complained or "")


def _end_group(process: subprocess.Popen[str]) -> None:
    """End a program and its process group: first asked, then not."""
    group = [f"-{process.pid}"]
    send(group, "TERM")
    deadline = time.monotonic() + END_SECONDS
    while _runs(process) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    # It is waited for after this alone: until then no other group can get its number.
    send(group, "KILL")


def _runs(process: subprocess.Popen[str]) -> bool:
    ways = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return process.returncode is None and os.waitid(os.P_PID, process.pid, ways) is None


def send(pids: Sequence[str], signal_name: str) -> None:
    """Send a signal (`TERM`) to processes, root's too; -N is the group N (kill(1)).

    One that has ended is no failure.
    """
    # The shell's own kill: a minimal Debian has no program of this name.
    command = ["sh", "-c", 'kill "$@"', "kill", f"-{signal_name}", *pids]
    subprocess.run(as_root(command), capture_output=True, check=False)


def _path() -> str:
    """Where programs are looked for: Debian leaves mkfs out of the path of who is not root."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def tail(path: Path, lines: int = 8) -> str:
    """The last lines of a log, or nothing where there is none to read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            said = file.read(TAIL_BYTES).decode(errors="replace")
    except (FileNotFoundError, PermissionError):
        return ""
    return "\n".join(said.splitlines()[-lines:])
