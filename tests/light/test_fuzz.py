"""The proof against chance: what random orders of random scripts end in, it must know.

`--fuzz N` scripts (50; 1000 with `--nightly`), each explored as the product does it, under random
schedules, and one in ten with nothing left out. `--fuzz-seed` has the same scripts again.
"""

import hashlib
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.drawn import drawn
from tests.fuzz.fuzzer import DisagreementError, Fuzzer
from tests.fuzz.scripts import scripts
from tests.light.node import LightNode

KEPT = Path(__file__).parent / "kept"
TELL_SECONDS = 60.0


class Form(NamedTuple):
    """How many scripts, of how many lines at most; the rest is a Fuzzer's, in seconds."""

    scripts: int
    lines: int
    budget: float
    runs: int
    whole: float


IN_CI = Form(scripts=50, lines=2, budget=15.0, runs=3, whole=0.0)
NIGHTS = Form(scripts=1000, lines=3, budget=30.0, runs=6, whole=15.0)


def test_no_end_is_left_out(
    node: LightNode, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    nightly = bool(pytestconfig.getoption("--nightly"))
    form = NIGHTS if nightly else IN_CI
    asked = drawn(pytestconfig, capsys, form.scripts)
    fuzzer = Fuzzer(node, budget=form.budget, runs=form.runs, whole=form.whole)
    failed: list[tuple[str, Exception]] = []
    passed: set[str] = set()
    told = began = time.monotonic()

    @seed(asked.seed)
    @settings(
        max_examples=asked.number,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(scripts(form.lines), st.integers(0, 9))
    def explored_in_three_ways(text: str, chance: int) -> None:
        assume(text not in passed)
        try:
            fuzzer.check(text, whole=chance == 9)
        except Exception as error:
            failed.append((text, error))
            node.revive()
            raise
        passed.add(text)
        nonlocal told
        if time.monotonic() > told + TELL_SECONDS:
            told = time.monotonic()
            asked.tell(f"{len(passed)} scripts, {told - began:.0f} s")

    try:
        explored_in_three_ways()
    except Exception:
        # The last one is the smallest that hypothesis came to.
        text, error = failed[-1]
        asked.tell(f"kept: {_keep(text, error)}")
        raise
    finally:
        words = ", ".join(f"{count} {word}" for word, count in sorted(fuzzer.words.items()))
        seconds = time.monotonic() - began
        asked.tell(f"{words}; {fuzzer.ends} ends compared; {seconds:.0f} s")


def _keep(text: str, error: Exception) -> Path:
    KEPT.mkdir(exist_ok=True)
    path = KEPT / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.sh"
    path.write_text(text)
    why = "" if isinstance(error, DisagreementError) else f"{type(error).__name__}\n"
    path.with_suffix(".txt").write_text(f"{why}{error}\n")
    return path
