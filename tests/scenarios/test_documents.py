"""Every block of the tutorial and of the how-to, run as it stands, in a clone."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainrace.paths import REPOSITORY, Paths
from chainrace.report.terminal import Terminal

pytestmark = pytest.mark.nightly
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 3600
# Built once and taken along: a clone of one's own would build it for a quarter of an hour.
BUILT = ("image-*", "box-*", "kubelet-*", "azure-npm-*")


@pytest.fixture(scope="module", params=["tutorial", "how-to"])
def document(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, paths: Paths, document: str) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp(document) / "lab"
    subprocess.run(["git", "clone", "--quiet", REPOSITORY, folder], check=True)
    store = folder / ".lab" / "store"
    store.mkdir(parents=True)
    for pattern in BUILT:
        for one in paths.store.glob(pattern):
            shutil.copytree(one, store / one.name, symlinks=True)
    yield folder
    subprocess.run([folder / "lab", "down"], cwd=folder, check=True)


def test_every_block_runs_as_it_stands(clone: Path, document: str, terminal: Terminal) -> None:
    blocks = BLOCK.findall((clone / "docs" / f"{document}.md").read_text())
    assert blocks
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    for number, block in enumerate(blocks, start=1):
        with terminal.step(f"{document}, block {number}: {block.splitlines()[0]}"):
            done = subprocess.run(
                ["sh", "-eu", "-c", block],
                stdin=subprocess.DEVNULL,
                cwd=clone,
                env=env,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"{block}\n{said}"
        # 2 and 4 are no outcomes: the block itself is wrong.
        assert not re.search(r"ended with [24]", said), f"{block}\n{said}"
