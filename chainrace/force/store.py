"""What an exploration has learned so far, on disk: it goes on where it was stopped."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from chainrace.race.effects import Effect, Follow
from chainrace.race.trial import Ending


@dataclass(frozen=True)
class End:
    """What was found in an end state; `end` stands for all that leave the same."""

    end: str
    ending: Ending


Learned = Effect | Follow | End
LINE: TypeAdapter[Learned] = TypeAdapter(Learned)


class Store:
    """What was learned, a line each. A line cut off by a crash is left out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def read(self) -> Iterator[Learned]:
        """What was learned before, in that order."""
        if not self._path.exists():
            return
        with self._path.open() as file:
            for line in file:
                try:
                    yield LINE.validate_json(line)
                except ValidationError:
                    return

    def add(self, *learned: Learned) -> None:
        """Keep more."""
        with self._path.open("a") as file:
            file.writelines(json.dumps(asdict(one)) + "\n" for one in learned)

    def remove(self) -> None:
        """Forget all of it: the exploration is finished."""
        self._path.unlink(missing_ok=True)
