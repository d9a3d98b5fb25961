"""How many random scripts a test draws, with which seed, and what it says meanwhile."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Drawn:
    """`number` scripts, the same again with the same `seed`; `tell` passes pytest's capture."""

    number: int
    seed: int
    tell: Callable[[str], None]


def drawn(config: pytest.Config, capsys: pytest.CaptureFixture[str], default: int) -> Drawn:
    """What `--fuzz` and `--fuzz-seed` ask for, else the default and a seed by chance; told."""

    def tell(text: str) -> None:
        with capsys.disabled():
            print(f"\nfuzz: {text}", flush=True)

    number = config.getoption("--fuzz") or default
    asked = config.getoption("--fuzz-seed")
    seed = random.randrange(2**32) if asked is None else asked
    tell(f"{number} random scripts, --fuzz-seed {seed}")
    return Drawn(number, seed, tell)
