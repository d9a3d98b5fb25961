"""The commands of ./lab: how they are called, and how they end (docs/reference.md)."""

import errno
import os
import sys
import traceback
from typing import TextIO

import typer

from chainrace.base.errors import LabError, UsageError
from chainrace.base.interruption import INTERRUPTED_EXIT
from chainrace.base.paths import Paths
from chainrace.cli import cluster, compare, explore, lab, matrix, run
from chainrace.cli.app import GROUPS, app

__all__ = ["cluster", "compare", "explore", "lab", "main", "matrix", "run"]

PROGRAM = "./lab"
# As of a program that SIGPIPE ends: what it was to say was not wanted.
PIPE_CLOSED_EXIT = 141
app.registered_commands.sort(key=lambda one: GROUPS.index(str(one.rich_help_panel)))


def main() -> None:
    """Run one command; every error is a line or two, never a traceback."""
    try:
        code = _run()
    except LabError as error:
        _complain(str(error))
        code = error.exit_code
    if code == INTERRUPTED_EXIT:
        _complain("interrupted; what was measured is kept")
    sys.exit(code)


def _run() -> int:
    """Run one command; its exit code. Raises LabError for whatever ends it otherwise."""
    # A file that is opened later would get the number of a stream that is closed.
    if sys.stdout is None or sys.stderr is None:
        raise LabError("standard output or standard error is closed", "send it to /dev/null")
    try:
        code = app(prog_name=PROGRAM, standalone_mode=False) or 0
    except LabError:
        raise
    except typer.TyperException as error:
        raise _wrong_call(error) from error
    except SystemExit:  # typer's and rich's way to end where a pipe has no reader
        _silence(sys.stdout)
        return PIPE_CLOSED_EXIT
    except Exception as error:
        _flush()
        raise _unforeseen(error) from error
    _flush()
    return int(code)


def _wrong_call(error: typer.TyperException) -> UsageError:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else PROGRAM
    # Called without any command, it has told its help already.
    said = error.format_message().rstrip(".") or "no command is named"
    return UsageError(said[0].lower() + said[1:], f"{command} --help")


def _unforeseen(error: Exception) -> LabError:
    """An error that no line was written for: exit code 1 would mean "refuted"."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return LabError(
            f"{error.filename or 'what is told or kept'} cannot be written: {error.strerror}",
            "make room on the disk, or send the output elsewhere",
        )
    what = f"{type(error).__name__}: {error}"
    log = Paths().logs / "error.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("".join(traceback.format_exception(error)), errors="backslashreplace")
    except OSError as why:
        return LabError(what, f"make room for {log}, which would say more: {why.strerror}")
    return LabError(what, f"see {log}")


def _flush() -> None:
    """Raise LabError where not all that was said could be written: a full disk, a broken pipe."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _silence(sys.stdout)  # `| head`: whoever reads has seen enough
    except OSError as error:
        _silence(sys.stdout)
        raise _unheard(error.strerror) from error


def _unheard(why: object) -> LabError:
    return LabError(f"standard output cannot be written to: {why}", "send it elsewhere")


def _complain(text: str) -> None:
    """Tell why a command ended. Where nobody hears it, the exit code still does."""
    try:
        print(f"lab: {text}", file=sys.stderr, flush=True)
    except OSError:
        _silence(sys.stderr)


def _silence(stream: TextIO) -> None:
    """Let Python write nowhere what is left of a stream: it would end with a code of its own."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
