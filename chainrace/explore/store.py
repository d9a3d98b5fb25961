"""What an exploration has learned so far, on disk: it goes on where it was stopped."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from chainrace.model.trial import Ending
from chainrace.search.effects import Effect, Follow, Whole


@dataclass(frozen=True)
class End:
    """What was found in an end state; `end` stands for all that leave the same."""

    end: str
    ending: Ending


Learned = Effect | Follow | Whole | End
LINE: TypeAdapter[Learned] = TypeAdapter(Learned)


class Store:
    """What was learned, a line each. From one that a crash cut off on, nothing is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def read(self) -> Iterator[Learned]:
        """What was learned before, in that order.

        What follows a broken line is removed with it: nothing added behind one would be read.
        """
        if not self._path.exists():
            return
        whole = 0
        with self._path.open("rb+") as file:
            for line in file:
                try:
                    learned = LINE.validate_json(line)
                except ValidationError:
                    break
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                yield learned
            file.truncate(whole)

    def add(self, *learned: Learned) -> None:
        """Keep more."""
        with self._path.open("a") as file:
            file.writelines(json.dumps(asdict(one)) + "\n" for one in learned)

    def remove(self) -> None:
        """Forget all of it: the exploration is finished."""
        self._path.unlink(missing_ok=True)
