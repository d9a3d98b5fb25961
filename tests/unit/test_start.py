"""./lab itself: which clone it belongs to, and who makes its .venv."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from chainrace.base.paths import REPOSITORY

# Stands in for the clone's Python: says what it was called with.
PYTHON = '#!/bin/sh\necho "ran: $*"\n'


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose .venv is made already."""
    made = tmp_path / "clone"
    (made / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(REPOSITORY / "lab", made)
    (made / "requirements.lock").write_text("typer==1\n")
    python = made / ".venv" / "bin" / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    digest = hashlib.sha256(b"typer==1\n").hexdigest()
    (made / ".venv" / ".installed").write_text(f"{made} {digest}  -\n")
    return made


def call(
    program: Path, *words: str, cwd: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *words],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_link_leads_to_the_clones_own_venv(clone: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "bin"
    (elsewhere / ".venv").mkdir(parents=True)
    (elsewhere / ".venv" / "precious").touch()
    (elsewhere / "lab").symlink_to(clone / "lab")
    done = call(elsewhere / "lab", "list", cwd=tmp_path)
    assert done.stdout == "ran: -I -m chainrace list\n"
    assert (elsewhere / ".venv" / "precious").exists()


def test_a_cdpath_says_nothing_about_the_clone(clone: Path, tmp_path: Path) -> None:
    done = call(clone.relative_to(tmp_path) / "lab", "list", cwd=tmp_path, CDPATH=str(tmp_path))
    assert done.stdout == "ran: -I -m chainrace list\n"


def test_what_is_no_clone_stays_as_it_is(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "lab", tmp_path)
    (tmp_path / ".venv").mkdir()
    done = call(tmp_path / "lab", "list", cwd=tmp_path)
    assert done.returncode == 4
    assert "is no clone of chainrace" in done.stderr
    assert "to do:" in done.stderr
    assert (tmp_path / ".venv").exists()


def test_the_end_of_whoever_is_at_work_needs_no_new_venv(clone: Path) -> None:
    (clone / "requirements.lock").write_text("typer==2\n")
    with (clone / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        done = call(clone / "lab", "down", cwd=clone)
    assert done.stdout == "ran: -I -m chainrace down\n"
    assert (clone / ".venv").exists()


def test_no_install_says_what_a_first_call_would_install(clone: Path) -> None:
    (clone / ".venv" / ".installed").unlink()
    packages = clone / "chainrace" / "host"
    packages.mkdir(parents=True)
    (packages / "packages.txt").write_text("qemu-utils\n")
    done = call(clone / "lab", "run", "--no-install", cwd=clone)
    assert done.returncode == 4
    assert "qemu-utils" in done.stderr
    assert (clone / ".venv" / "bin").exists()
