"""Commands, ended at random moments: the next call works without a hand, nothing is left.

`--kills 20` made the figures of docs/dev/reliability.md; `--kills-seed` takes the printed seed.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from chainrace.report.terminal import Terminal
from tests.scenarios.conftest import left_behind, processes

pytestmark = pytest.mark.nightly

# Confirmed, refuted and inconclusive are outcomes; 4 would be a broken environment.
OUTCOMES = (0, 1, 3)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
END_SECONDS = 300.0
SHARE_OF_DOWNS = 1 / 3


@dataclass(frozen=True)
class Command:
    """A command of the lab, the exit codes of one that nothing disturbs, and what it builds anew.

    `seconds` it takes without KVM, at a guess: one that ends by itself corrects it.
    """

    words: tuple[str, ...]
    codes: tuple[int, ...]
    seconds: float
    builds: str = ""


@dataclass(frozen=True)
class End:
    """A command, the signal that ends it after some seconds, and whom that is for."""

    command: Command
    target: str
    number: signal.Signals
    after: float


RUN = Command(("./lab", "run", "--trials", "1"), OUTCOMES, 400.0)
SUITE = Command((".venv/bin/python", "-m", "pytest", "-q", "tests/node/test_gate.py"), (0,), 400.0)
BUILD = Command(("./lab", "setup"), (0,), 100.0, builds="image-*")
UP = Command(("vagrant", "up"), (0,), 60.0)
# Whom the signal is for: the command's own process, or the Vagrant that it has called.
TARGETS = (
    (RUN, "itself"),
    (RUN, "vagrant"),
    (SUITE, "itself"),
    (BUILD, "itself"),
    (UP, "itself"),
)


def vagrants(clone: Path) -> list[int]:
    """The processes of the Vagrant that the lab called in a clone."""
    return [pid for pid, words in processes(clone).items() if "/vagrant" in words.split(" -")[0]]


def forget(clone: Path, built: str) -> None:
    """Have something built anew. No node may be up that was made from it."""
    subprocess.run(["./lab", "down"], cwd=clone, check=True, capture_output=True)
    for folder in (clone / ".lab" / "store").glob(built):
        shutil.rmtree(folder)


def make(end: End, clone: Path, log: Path) -> str | None:
    """Start the command and end it; what was done, as a line.

    None where it had come to its own end by then.
    """
    if end.command.builds:
        forget(clone, end.command.builds)
    with log.open("w") as sink:
        process = subprocess.Popen(
            end.command.words, cwd=clone, stdout=sink, stderr=subprocess.STDOUT
        )
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(end.after)
            assert code in end.command.codes, f"ended by itself with {code}:\n{log.read_text()}"
            return None
        victims = vagrants(clone) if end.target == "vagrant" else []
        for pid in victims or [process.pid]:
            os.kill(pid, end.number)
        code = process.wait(END_SECONDS)
    said = log.read_text()
    assert "Traceback" not in said, said
    doing = [line for line in said.splitlines() if line.startswith("…")][-1:]
    whom = "vagrant" if victims else end.command.words[0]
    return (
        f"{end.number.name} to {whom} after {end.after:.0f} s, ended with {code} {''.join(doing)}"
    )


def test_whatever_ends_a_command_the_next_one_works(
    clone: Path, terminal: Terminal, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kills = request.config.getoption("--kills")
    seed = request.config.getoption("--kills-seed") or random.SystemRandom().getrandbits(32)
    terminal.say(f"{kills} ends, --kills-seed {seed}")
    source = random.Random(seed)
    # Whoever started pytest in the background had it ignore SIGINT, and all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    whole = {command: command.seconds for command, _ in TARGETS}
    done = 0
    while done < kills:
        number, (command, target) = source.choice(SIGNALS), source.choice(TARGETS)
        moment = source.uniform(0, whole[command])
        begun = time.monotonic()
        said = make(End(command, target, number, moment), clone, tmp_path / f"{done}.log")
        if said is None:
            whole[command] = time.monotonic() - begun
            continue
        done += 1
        terminal.say(f"{done} of {kills}: {said}")
        if source.random() < SHARE_OF_DOWNS:
            subprocess.run(["./lab", "down"], cwd=clone, check=True, capture_output=True)
            assert left_behind(clone) == []
    last = subprocess.run(RUN.words, cwd=clone, capture_output=True, text=True, check=False)
    assert last.returncode in OUTCOMES, last.stdout + last.stderr
    subprocess.run(["./lab", "down"], cwd=clone, check=True, capture_output=True)
    assert left_behind(clone) == []
    # Every folder with trials can be judged, however its run ended.
    for folder in (clone / "results").glob("*Z*"):
        if (folder / "trials.jsonl").exists():
            judged = subprocess.run(["./lab", "judge", folder], cwd=clone, check=False)
            assert judged.returncode in OUTCOMES
