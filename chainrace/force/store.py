"""What an exploration has found so far, on disk: it goes on where it was stopped."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from chainrace.race.state import State
from chainrace.race.trial import Ending


@dataclass(frozen=True)
class Transition:
    """An actor's steps from one state to another: how many were asked for, and made.

    `ending` is there where nothing is left to do.
    """

    origin: str
    actor: str
    asked: int
    made: int
    target: State
    ending: Ending | None


LINE = TypeAdapter(Transition)


class Store:
    """One exploration's transitions, a line each. A line cut off by a crash is left out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def read(self) -> Iterator[Transition]:
        """What was found before, in the order it was found."""
        if not self._path.exists():
            return
        with self._path.open() as file:
            for line in file:
                try:
                    yield LINE.validate_json(line)
                except ValidationError:
                    return

    def add(self, transition: Transition) -> None:
        """Keep one more."""
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(transition)) + "\n")

    def remove(self) -> None:
        """Forget all of it: the exploration is finished."""
        self._path.unlink(missing_ok=True)
