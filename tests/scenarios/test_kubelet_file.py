"""`--kubelet FILE` with a file that is no kubelet: the node says so, and the host never ran it."""

from pathlib import Path

import pytest

from chainrace.base.errors import USAGE_EXIT
from tests.scenarios.conftest import run_as_it_stands

pytestmark = pytest.mark.nightly


@pytest.mark.parametrize("file", ["/bin/true", "/bin/cat"])
def test_a_program_that_is_no_kubelet_is_wrong_usage(clone: Path, file: str) -> None:
    code, said = run_as_it_stands(f"./lab run --kubelet {file} --evidence exploration", clone)
    assert code == USAGE_EXIT, said
    assert f"kubelet: {file} is no kubelet: asked for its version on node1, it says" in said
