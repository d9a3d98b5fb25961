"""Two labs on one host, and two commands in one clone."""

import subprocess
import time
from pathlib import Path

import pytest

from chainrace.base.errors import ENVIRONMENT_EXIT
from chainrace.base.paths import Paths
from tests.scenarios.conftest import cloned, left_behind, processes, run_as_it_stands

pytestmark = pytest.mark.nightly
RUN = ("./lab", "run", "--evidence", "trials", "--trials", "1")
# One pair tells too little to confirm anything: it is an outcome all the same.
INCONCLUSIVE = 3
LOOK_SECONDS = 0.5


def node_runs(clone: Path) -> bool:
    """Whether QEMU runs for a clone's first node."""
    return any(f"guest={Paths(clone).prefix}-node1" in words for words in processes(clone).values())


def test_two_clones_work_side_by_side_and_a_second_command_is_told_who_holds_its_clone(
    paths: Paths, tmp_path: Path
) -> None:
    with cloned(tmp_path / "one", paths) as one, cloned(tmp_path / "two", paths) as two:
        runs = [
            subprocess.Popen(
                RUN, cwd=clone, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            for clone in (one, two)
        ]
        while not (node_runs(one) and node_runs(two)):
            assert all(run.poll() is None for run in runs), "a run ended before its node was up"
            time.sleep(LOOK_SECONDS)
        code, said = run_as_it_stands("./lab explore", one)
        assert code == ENVIRONMENT_EXIT
        assert "in use by ./lab run --evidence trials --trials 1 (process" in said
        code, said = run_as_it_stands("vagrant destroy -f", one)
        assert code != 0
        assert "in use by ./lab run --evidence trials --trials 1 (process" in said
        for run in runs:
            said, _ = run.communicate()
            assert run.returncode == INCONCLUSIVE, said
        # What ends one lab leaves the other alone.
        subprocess.run(["./lab", "setup"], cwd=two, check=True, capture_output=True)
        subprocess.run(["./lab", "down"], cwd=one, check=True, capture_output=True)
        assert left_behind(one) == []
        assert [line for line in left_behind(two) if "network namespace" in line]
        subprocess.run(["./lab", "down"], cwd=two, check=True, capture_output=True)
        assert left_behind(two) == []
