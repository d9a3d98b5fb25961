"""A clone is one command's at a time; nothing that a killed one called outlives the next."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainrace.base.errors import LabError
from chainrace.base.paths import REPOSITORY, Paths
from chainrace.host import holding
from chainrace.host.holding import held, taken_over
from chainrace.host.shell import FINISHES, MARK

# Holds a clone, calls something that takes long, and says so.
HOLDS = """
import subprocess, sys, time
from pathlib import Path
from chainrace.host.holding import held
from chainrace.base.paths import Paths
with held(Paths(Path(sys.argv[1]))):
    called = subprocess.Popen(["sleep", "600"])
    print(called.pid, flush=True)
    called.wait()
"""


@pytest.fixture(autouse=True)
def _as_a_command_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """`./lab test` calls these tests, too."""
    monkeypatch.delenv(MARK, raising=False)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


@pytest.fixture
def other(paths: Paths) -> Iterator[subprocess.Popen[str]]:
    """Another command that holds the clone."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(paths.root)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    yield process
    process.kill()
    process.wait()


def called_by(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def runs(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    # 4711 (sleep) Z 1 ...: a zombie runs no more
    return state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def wait_for_end(pid: int) -> None:
    """Wait for a process whose memory is gone, but not yet its entry."""
    deadline = time.monotonic() + 5
    while runs(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_second_command_is_told_who_holds_the_clone(
    paths: Paths, other: subprocess.Popen[str]
) -> None:
    called_by(other)
    with pytest.raises(LabError, match=rf"in use by .*process {other.pid}, since") as caught:
        held(paths).__enter__()
    assert caught.value.exit_code == 4


def test_the_labs_folder_is_its_owners_alone(paths: Paths) -> None:
    paths.state.mkdir(mode=0o755)
    with held(paths):
        assert paths.state.stat().st_mode & 0o777 == 0o700
    with taken_over(paths):
        assert paths.state.stat().st_mode & 0o777 == 0o700


def test_a_labs_folder_of_another_user_is_told(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(LabError, match="is another user's: Operation not permitted") as caught:
        held(paths).__enter__()
    assert "with sudo" in caught.value.remedy


def test_another_clone_is_free(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    called_by(other)
    with held(Paths(tmp_path / "other")):
        pass


def test_what_a_killed_command_called_is_ended_by_the_next(
    paths: Paths, other: subprocess.Popen[str]
) -> None:
    pid = called_by(other)
    other.kill()
    other.wait()
    assert runs(pid)
    with held(paths):
        wait_for_end(pid)


def test_what_ignores_the_signal_is_killed(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "ORPHAN_SECONDS", 0.3)
    stubborn = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"],
        stdout=subprocess.PIPE,
        env={**os.environ, MARK: paths.prefix},
    )
    assert stubborn.stdout is not None
    stubborn.stdout.readline()
    with held(paths):
        assert stubborn.wait(5) == -signal.SIGKILL


def test_what_a_command_called_ends_with_it(paths: Paths) -> None:
    with held(paths):
        called = subprocess.Popen(["sleep", "600"])
    assert called.wait(5) == -signal.SIGTERM


def test_what_must_not_be_ended_in_its_middle_is_waited_for(paths: Paths) -> None:
    """apt, of a command that was killed meanwhile."""
    apt = subprocess.Popen(["sleep", "0.5"], env={**os.environ, FINISHES: paths.prefix})
    with held(paths):
        assert apt.wait(5) == 0


def test_what_a_command_calls_may_use_the_clone_too(paths: Paths) -> None:
    with held(paths):
        assert os.environ[MARK] == paths.prefix
        with held(paths):
            pass
        assert os.environ[MARK] == paths.prefix
        done = subprocess.run(
            [sys.executable, "-c", HOLDS.replace("600", "0"), str(paths.root)],
            check=False,
            cwd=REPOSITORY,
        )
        assert done.returncode == 0
    assert MARK not in os.environ


def test_the_end_of_the_lab_ends_whoever_holds_it(
    paths: Paths, other: subprocess.Popen[str]
) -> None:
    pid = called_by(other)
    begun = time.monotonic()
    with taken_over(paths) as ended:
        assert ended
        assert ended.pid == other.pid
        assert time.monotonic() - begun < 30
        assert other.wait(5) == -signal.SIGTERM
        wait_for_end(pid)
        with held(paths):
            pass
    with held(paths):
        pass


def test_where_nobody_holds_the_clone_nobody_is_ended(paths: Paths) -> None:
    for _ in range(2):
        with taken_over(paths) as ended:
            assert ended is None


def test_nobody_comes_between_the_end_of_a_holder_and_what_is_done_then(
    paths: Paths, other: subprocess.Popen[str]
) -> None:
    called_by(other)
    with taken_over(paths):
        third = subprocess.run(
            [sys.executable, "-c", HOLDS, str(paths.root)],
            env={name: value for name, value in os.environ.items() if name != MARK},
            capture_output=True,
            text=True,
            check=False,
            cwd=REPOSITORY,
        )
        assert "is in use by" in third.stderr
