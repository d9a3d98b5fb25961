"""Rows of a comparison, kept in its results folder as they come, to draw its page from."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from chainrace.errors import UsageError
from chainrace.files import write_json

Row = TypeVar("Row")


def store(folder: Path, name: str, rows: Sequence[Any]) -> None:
    """Write all rows found so far (dataclasses), whole or not at all."""
    write_json(folder / name, [asdict(one) for one in rows])


def load(folder: Path, name: str, kind: type[Row]) -> list[Row]:
    """Read what `store` wrote. Raises UsageError where there is nothing to read."""
    try:
        return TypeAdapter(list[kind]).validate_json((folder / name).read_text())  # type: ignore[valid-type]
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{folder / name} is not readable: {error}", "name a folder of results"
        ) from error


def merged(
    folders: Iterable[Path], name: str, kind: type[Row], *, key: Callable[[Row], Hashable]
) -> list[Row]:
    """The rows of several folders; of two with the same key the later one counts."""
    found = {key(row): row for folder in folders for row in load(folder, name, kind)}
    return list(found.values())
