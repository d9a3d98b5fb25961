"""A script that is to end with another code than 0 here succeeds with that one alone."""

import subprocess
from pathlib import Path

import pytest

from chainrace.base.errors import UsageError
from chainrace.cli.options import expected
from chainrace.explore.scripts import Script
from chainrace.run.evidence import to_succeed


@pytest.mark.parametrize(("ends", "expect"), [(0, 0), (2, 0), (2, 2), (0, 2), (255, 255)])
def test_a_node_runs_it_as_a_command_that_succeeds_with_that_code_alone(
    tmp_path: Path, ends: int, expect: int
) -> None:
    file = tmp_path / "save it's.sh"
    file.write_text(f"#!/bin/sh\nexit {ends}\n")
    file.chmod(0o755)
    command = to_succeed(Script("save.sh", str(file), "0123", expect=expect))
    done = subprocess.run(["sh", "-c", command], check=False)
    assert (done.returncode == 0) == (ends == expect)


def test_only_a_script_of_ones_own_has_a_code_of_its_own() -> None:
    assert expected(None, None) == 0
    assert expected(2, Path("save.sh")) == 2
    with pytest.raises(UsageError, match="--exit is about a script of your own"):
        expected(0, None)
