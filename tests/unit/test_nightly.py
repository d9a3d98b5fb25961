"""examples/nightly: what stands there is what can be run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from chainrace.base.paths import REPOSITORY

NIGHTLY = REPOSITORY / "examples" / "nightly"
# What the script calls, in ./lab's place: it notes its arguments, and a run leaves a folder.
LAB = """#!/bin/sh
echo "$*" >>calls
[ "$1" != run ] || { mkdir -p results/2026-02-02; touch results/2026-02-02/verdict.json; exit 3; }
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "examples" / "nightly").mkdir(parents=True)
    shutil.copy(NIGHTLY / "nightly.sh", tmp_path / "examples" / "nightly")
    (tmp_path / "lab").write_text(LAB)
    (tmp_path / "lab").chmod(0o755)
    (tmp_path / "results" / "2026-01-01").mkdir(parents=True)
    (tmp_path / "results" / "2026-01-01" / "verdict.json").touch()
    return tmp_path


def test_a_night_runs_everything_compares_what_is_new_and_ends_as_the_run_did(clone: Path) -> None:
    script = clone / "examples" / "nightly" / "nightly.sh"
    done = subprocess.run([script, "--budget", "10m"], cwd="/", check=False)
    assert done.returncode == 3
    assert (clone / "calls").read_text().splitlines() == [
        "run --budget 10m",
        "compare results/2026-02-02",
    ]


def test_every_command_of_the_workflow_and_the_unit_is_one_of_the_labs_own() -> None:
    workflow = (NIGHTLY / "github-workflow.yml").read_text()
    commands = [line.split("run: ")[1] for line in workflow.splitlines() if "run: " in line]
    unit = (NIGHTLY / "chainrace-nightly.service").read_text()
    commands += [
        line.split("=", 1)[1].removeprefix("/opt/chainrace/")
        for line in unit.splitlines()
        if line.startswith("Exec")
    ]
    assert len(commands) == 5
    for command in commands:
        program = REPOSITORY / command.split()[0]
        assert os.access(program, os.X_OK), command
