"""Rows of a comparison, kept in its results folder as they come, to draw its page from."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from chainrace.base.errors import UsageError
from chainrace.base.files import read_input, write_json
from chainrace.report.document import fault, parse

Row = TypeVar("Row")
REMEDY = "name a folder of results"
EXACT = ConfigDict(extra="forbid", strict=True)


def store(folder: Path, name: str, rows: Sequence[Any]) -> None:
    """Write all rows found so far (dataclasses), whole or not at all."""
    write_json(folder / name, [asdict(one) for one in rows])


def load(folder: Path, name: str, kind: type[Row]) -> list[Row]:
    """Read what `store` wrote, at least a row. Raises UsageError where there is nothing to read."""
    file = folder / name
    data = read_input(file, REMEDY, below=folder)
    try:
        parse(data.decode())
        found = TypeAdapter(list[kind], config=EXACT).validate_json(data)  # type: ignore[valid-type]
    except ValueError as error:
        why = fault(error) if isinstance(error, ValidationError) else str(error)
        raise UsageError(f"{file} is not readable: {why}", REMEDY) from error
    if not found:
        raise UsageError(f"{file} has no rows", REMEDY)
    return found


def merged(
    folders: Iterable[Path], name: str, kind: type[Row], *, key: Callable[[Row], Hashable]
) -> list[Row]:
    """The rows of several folders; of two with the same key the later one counts."""
    found = {key(row): row for folder in folders for row in load(folder, name, kind)}
    return list(found.values())
