"""Things built once from a recipe: built again only when the recipe changed."""

import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path


def digest(files: Iterable[Path], *words: str) -> str:
    """A short identity of files' names, modes and contents, and of further words."""
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(f"{file.name} {file.stat().st_mode & 0o777:o}\n".encode())
        total.update(file.read_bytes())
    for word in words:
        total.update(f"{word}\n".encode())
    return total.hexdigest()[:12]


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


def build_once(target: Path, build: Callable[[Path], None]) -> bool:
    """Let `build` fill a folder that becomes `target` only when it is whole.

    Returns whether it was built now. Interrupted at any point, the next call starts
    over: a half-made folder never bears the final name.
    """
    if target.is_dir():
        return False
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    build(partial)
    partial.rename(target)
    return True
