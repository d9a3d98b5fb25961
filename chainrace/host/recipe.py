"""Things built once from a recipe: built again only when the recipe changed."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from chainrace.base.errors import LabError
from chainrace.base.files import to_disk
from chainrace.host.shell import as_root, run

REMOVE_SECONDS = 300


def digest(folder: Path | None, *words: str) -> str:
    """A short identity of a folder's files (places, modes, contents) and of further words."""
    total = hashlib.sha256()
    if folder is not None:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            # git keeps the executable bit alone; the rest depends on the umask.
            executable = bool(file.stat().st_mode & 0o100)
            total.update(f"{file.relative_to(folder)} {executable}\n".encode())
            total.update(file.read_bytes())
    for word in words:
        total.update(f"{word}\n".encode())
    return total.hexdigest()[:12]


def build_once(target: Path, build: Callable[[Path], None]) -> bool:
    """Let `build` fill a folder that becomes `target` only when it is whole.

    Returns whether it was built now. Interrupted at any point, the next call starts
    over: a half-made folder never bears the final name.
    """
    if target.is_dir():
        return False
    partial = target.with_name(f".{target.name}.partial")
    _remove(partial)
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        build(partial)
    except BaseException:
        # Whoever fills it may not have ended yet; the next call removes the rest.
        with suppress(LabError):
            _remove(partial)
        raise
    for file in partial.rglob("*"):
        if file.is_file() and not file.is_symlink():
            to_disk(file)
    partial.rename(target)
    return True


def _remove(folder: Path) -> None:
    """Remove what may be root's: an image is built with root's rights."""
    run(as_root(["rm", "-rf", str(folder)]), remedy=f"remove {folder}", timeout=REMOVE_SECONDS)
