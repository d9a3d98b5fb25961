"""A clone of this commit, with what is built already: a quarter of an hour less."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainrace.paths import REPOSITORY, Paths

BUILT = ("image-*", "box-*", "kubelet-*", "azure-npm-*")
SECONDS = 3600


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, paths: Paths) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("clone") / "lab"
    subprocess.run(["git", "clone", "--quiet", REPOSITORY, folder], check=True)
    store = folder / ".lab" / "store"
    store.mkdir(parents=True)
    for pattern in BUILT:
        for one in paths.store.glob(pattern):
            subprocess.run(["cp", "-a", "--sparse=always", one, store], check=True)
    yield folder
    subprocess.run([folder / "lab", "down"], cwd=folder, check=True)


def run_as_it_stands(text: str, clone: Path) -> tuple[int, str]:
    """Run a text as a shell would in the clone; its exit code, and all that it said."""
    done = subprocess.run(
        ["sh", "-eu", "-c", text],
        stdin=subprocess.DEVNULL,
        cwd=clone,
        env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
