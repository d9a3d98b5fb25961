"""The steps of the workflow for a self-hosted runner, run as they stand, in a clone."""

import re
from pathlib import Path

import pytest

from chainrace.paths import REPOSITORY
from chainrace.report.terminal import Terminal
from tests.scenarios.conftest import left_behind, run_as_it_stands

pytestmark = pytest.mark.nightly
WORKFLOW = REPOSITORY / "examples" / "nightly" / "github-workflow.yml"
STEP = re.compile(r"^ +run: (.+)$", re.MULTILINE)
# What each leaves, as a pattern under results/.
LEAVES = {
    "examples/nightly/nightly.sh": "*/junit.xml",
    "./lab kubelets": "*/kubelets.json",
    "./lab down": "*",
}


@pytest.mark.parametrize("step", STEP.findall(WORKFLOW.read_text()))
def test_a_step_of_the_workflow_runs_as_it_stands(
    clone: Path, terminal: Terminal, step: str
) -> None:
    with terminal.step(step):
        code, said = run_as_it_stands(step, clone)
    # The first night has nothing to be compared with: that alone may be said.
    assert code == 0, said
    assert list((clone / "results").glob(LEAVES[step]))
    if step == "./lab down":
        assert left_behind(clone) == []
