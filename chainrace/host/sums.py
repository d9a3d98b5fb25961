"""The files that nodes are made from: root's, read only, and known by their hashes.

A guest that has broken out of QEMU is QEMU's user; it must not change what later nodes begin with.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chainrace.base.errors import LabError
from chainrace.base.files import write_json, write_whole
from chainrace.host.shell import as_root, run

NAME = "SHA256SUMS"
VERIFIED = "verified.json"
WRITABLE = 0o222
READ_ONLY = "444"


def write(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Keep the hashes of some files beside them, as sha256sum(1) does; returns them by name."""
    sums = {name: _sha256(folder / name) for name in names}
    write_whole(folder / NAME, "".join(f"{one}  {name}\n" for name, one in sums.items()))
    return sums


def verify(folder: Path) -> None:
    """See to it that the files of a folder are as they were built, and nobody's but root's.

    To hash a gigabyte takes seconds: it is done once, and again where a file's size, times or
    inode changed. Raises LabError for a file that is another one.
    """
    sums = read(folder)
    files = [folder / name for name in sums]
    try:
        open_to_others = [str(one) for one in files if _is_open_to_others(one)]
        if open_to_others:
            remedy = f"see {folder}"
            run(as_root(["chown", "root:root", *open_to_others]), remedy=remedy, timeout=60)
            run(as_root(["chmod", READ_ONLY, *open_to_others]), remedy=remedy, timeout=60)
        states = {one.name: _state(one) for one in files}
        verified = _verified(folder)
        for file in files:
            if verified.get(file.name) != states[file.name]:
                _check(file, sums[file.name])
    except OSError as error:
        raise _another(folder, f"{error.filename}: {error.strerror}") from error
    if states != verified:
        write_json(folder / VERIFIED, states)


def read(folder: Path) -> dict[str, str]:
    """The hashes of a folder's files, by name. Raises LabError where they are not kept."""
    try:
        lines = (folder / NAME).read_text().splitlines()
        # a line: 9f86d081...  root.raw
        pairs = [line.split("  ", 1) for line in lines]
        return {name: one for one, name in pairs}
    except (OSError, ValueError) as error:
        raise _another(folder, f"{NAME}: {error}") from error


def _is_open_to_others(file: Path) -> bool:
    about = file.stat()
    return about.st_uid != 0 or bool(about.st_mode & WRITABLE)


def _state(file: Path) -> dict[str, int]:
    """What changes when a file does. Its ctime cannot be set back by who may write to it."""
    about = file.stat()
    return {
        "size": about.st_size,
        "mtime": about.st_mtime_ns,
        "ctime": about.st_ctime_ns,
        "inode": about.st_ino,
    }


def _verified(folder: Path) -> dict[str, Any]:
    """What the files were like when they were verified; empty where that is not known."""
    try:
        found = json.loads((folder / VERIFIED).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _check(file: Path, wanted: str) -> None:
    found = _sha256(file)
    if found != wanted:
        raise _another(file.parent, f"the sha256 of {file.name} is {found}, not {wanted}")


def _another(folder: Path, why: str) -> LabError:
    return LabError(
        f"{folder} is not what was built: {why}", f"remove {folder} and run again: it is built anew"
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
