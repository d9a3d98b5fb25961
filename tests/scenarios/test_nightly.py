"""The steps of the workflow for a self-hosted runner, run as they stand, in a clone."""

import re
from pathlib import Path

import pytest

from chainrace.base.paths import REPOSITORY
from chainrace.report.terminal import Terminal
from tests.scenarios.conftest import left_behind, run_as_it_stands

pytestmark = pytest.mark.nightly
WORKFLOW = REPOSITORY / "examples" / "nightly" / "github-workflow.yml"
STEP = re.compile(r"^ +run: (.+)$", re.MULTILINE)
STEPS = STEP.findall(WORKFLOW.read_text())
# What a step leaves under results/.
LEAVES = {
    "examples/nightly/nightly.sh": "*/junit.xml",
    "./lab kubelets": "latest/kubelets.json",
}


def test_the_workflow_has_a_night_kubelets_generations_and_an_end() -> None:
    assert [*LEAVES, "./lab down"] == STEPS


@pytest.mark.parametrize("step", STEPS)
def test_a_step_of_the_workflow_runs_as_it_stands(
    clone: Path, terminal: Terminal, step: str
) -> None:
    with terminal.step(step):
        code, said = run_as_it_stands(step, clone)
    # The first night has nothing to be compared with: that alone may be said.
    assert code == 0, said
    if step in LEAVES:
        assert list((clone / "results").glob(LEAVES[step]))
    else:
        assert left_behind(clone) == []
