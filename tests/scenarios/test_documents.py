"""Every block of the tutorial and of the how-to pages, run as it stands, in a clone."""

import re
from pathlib import Path

import pytest

from chainrace.base.paths import REPOSITORY
from chainrace.report.terminal import Terminal
from tests.scenarios.conftest import run_as_it_stands

pytestmark = pytest.mark.nightly
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


DOCUMENTS = ["tutorial", *(f"how-to/{page.stem}" for page in REPOSITORY.glob("docs/how-to/*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_runs_as_it_stands(clone: Path, document: str, terminal: Terminal) -> None:
    blocks = BLOCK.findall((clone / "docs" / f"{document}.md").read_text())
    if not blocks:
        pytest.skip("no block to run")
    for number, block in enumerate(blocks, start=1):
        with terminal.step(f"{document}, block {number}: {block.splitlines()[0]}"):
            code, said = run_as_it_stands(block, clone)
        assert code == 0, f"{block}\n{said}"
        # 2 and 4 are no outcomes: the block itself is wrong.
        assert not re.search(r"ended with [24]", said), f"{block}\n{said}"
