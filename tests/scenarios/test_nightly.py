"""The steps of the workflow for a self-hosted runner, run as they stand, in a clone."""

import re
from pathlib import Path

import pytest

from chainrace.report.terminal import Terminal
from tests.scenarios.conftest import run_as_it_stands

pytestmark = pytest.mark.nightly
STEP = re.compile(r"^ +run: (.+)$", re.MULTILINE)


def test_every_step_of_the_workflow_runs_as_it_stands(clone: Path, terminal: Terminal) -> None:
    steps = STEP.findall((clone / "examples" / "nightly" / "github-workflow.yml").read_text())
    assert len(steps) == 3
    for step in steps:
        with terminal.step(step):
            code, said = run_as_it_stands(step, clone)
        # The first night has nothing to be compared with: that alone may be said.
        assert code == 0, f"{step}\n{said}"
    assert (clone / "results" / "latest" / "kubelets.json").exists()
    assert list((clone / "results").glob("*/junit.xml"))
