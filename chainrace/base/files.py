"""Files that are there whole or not at all, and files of whoever wrote them, read with care."""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chainrace.base.errors import UsageError

# No file that a user or a run writes is larger: 64 MiB.
MOST_BYTES = 64 * 2**20


def write_whole(path: Path, data: str | bytes) -> None:
    """Write a file so that no reader ever sees half of it, even after a crash of the host.

    A link is replaced, not followed.
    """
    with _replacing(path) as partial:
        with partial.open("xb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
        to_disk(partial)


def link_whole(path: Path, target: str) -> None:
    """Let a link lead elsewhere: at no time it is missing, or leads nowhere."""
    with _replacing(path) as partial:
        partial.symlink_to(target)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A path of this process alone; what is made there becomes `path` at the end."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def to_disk(path: Path) -> None:
    """Have the contents of a file on the disk before it gets its final name (fsync(2))."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file so that no reader ever sees half of it."""
    write_whole(path, json.dumps(data, indent=2) + "\n")


def read_input(path: Path, remedy: str, *, below: Path | None = None) -> bytes:
    """The bytes of a file that is not the lab's own making.

    Raises UsageError for what is no regular file, cannot be read, or has no end (a pipe, a
    device); with `remedy`, what to do then. `below` is a folder of somebody else's that it is a
    file of: a link there, or what a link leads through, is refused, for it would lead out.
    """
    if below is not None:
        _refuse_link(path, below, remedy)
    try:
        # Opening a pipe that nobody writes to must not wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UsageError(f"{path} is no regular file", remedy)
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # a name with NUL
        raise UsageError(f"{path} cannot be read: {_why(error)}", remedy) from error
    if len(data) > MOST_BYTES:
        raise UsageError(f"{path} is larger than {MOST_BYTES // 2**20} MiB", remedy)
    return data


def read_if_there(path: Path, remedy: str, *, below: Path | None = None) -> bytes | None:
    """The same; None where there is no such file."""
    try:
        return read_input(path, remedy, below=below)
    except UsageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise


def is_file(path: Path, *, below: Path) -> bool:
    """Whether a folder of somebody else's has a regular file there, and no link leads to it."""
    try:
        _refuse_link(path, below, "")
        return path.is_file()
    except (UsageError, OSError, ValueError):
        return False


def read_text_input(path: Path, remedy: str, *, below: Path | None = None) -> str:
    """A file's text, read with the same care. Raises UsageError for what is no UTF-8."""
    try:
        return read_input(path, remedy, below=below).decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text: {error.reason}", remedy) from error


def _refuse_link(path: Path, below: Path, remedy: str) -> None:
    try:
        place = below.resolve() / path.relative_to(below)
        leads_out = place.resolve() != place
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"{path} cannot be read: {error}", remedy) from error
    if leads_out:
        raise UsageError(f"{path} is a link, or is reached by one", remedy)


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
