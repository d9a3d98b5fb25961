"""The read-only disk that brings programs to a node: copying them would take longer."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from chainrace.base.paths import STORE_INSIDE, Paths
from chainrace.host import recipe
from chainrace.host.shell import run

DISK_LABEL = "binaries"
SPARE_MEBIBYTES = 16
# ext4 needs so large a part for its own tables: inodes, groups (mke2fs.conf(5)).
TABLES = 16


def ensure_disk(paths: Paths, programs: Mapping[str, Path]) -> str:
    """An ext4 disk with files under their names there; returns its path as QEMU sees it.

    Raises LabError.
    """
    about = []
    for name, path in sorted(programs.items()):
        stat = path.stat()
        about.append(f"{name} {path} {stat.st_size} {stat.st_mtime_ns}")
    target = paths.store / f"disk-{recipe.digest(None, *about)}"
    recipe.build_once(target, lambda folder: _build(programs, folder))
    return str(STORE_INSIDE / target.name / "binaries.ext4")


def _build(programs: Mapping[str, Path], folder: Path) -> None:
    tree = folder / "tree"
    tree.mkdir(parents=True)
    for name, path in programs.items():
        (tree / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(path, tree / name)
        (tree / name).chmod(0o755)
    size = sum(path.stat().st_size for path in programs.values()) // 2**20
    size += size // TABLES + SPARE_MEBIBYTES
    run(
        [
            *("mkfs.ext4", "-q", "-O", "^has_journal", "-m", "0", "-L", DISK_LABEL),
            *("-d", str(tree), str(folder / "binaries.ext4"), f"{size}M"),
        ],
        remedy="free some disk space",
        timeout=120,
    )
    shutil.rmtree(tree)
