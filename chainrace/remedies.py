"""The remedies of examples/remedies, each explored by force, side by side."""

import os
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field, ValidationError

from chainrace import exploring
from chainrace.config import MOST_TIMES, LabConfig, Section
from chainrace.errors import UsageError
from chainrace.files import read_text_input
from chainrace.force.options import Options
from chainrace.force.run import Teller
from chainrace.force.scripts import read_script
from chainrace.node.node import Node
from chainrace.paths import Paths
from chainrace.race.force import Explored
from chainrace.report.force import ForceFolder


class _About(Section):
    """remedy.toml. `preemptions` bounds an exploration that would not end."""

    about: str
    costs: str
    preemptions: int | None = Field(default=None, ge=0, le=MOST_TIMES)


@dataclass(frozen=True)
class Remedy:
    """A folder of examples/remedies: its script, what prepares the node, what it is."""

    name: str
    script: Path
    prepare: Path | None
    about: str
    costs: str
    preemptions: int | None


@dataclass(frozen=True)
class Compared:
    """What an exploration showed of a remedy. `harm` is the plainest schedule by class."""

    name: str
    backend: str
    about: str
    costs: str
    word: str
    reason: str
    harm: dict[str, str]
    states: int
    orders: int
    preemptions: int | None
    commands: int


def load(folder: Path) -> Remedy:
    """Read a remedy's folder. Raises UsageError for what is none, or has no script."""
    remedy = "see the folders of examples/remedies"
    text = read_text_input(folder / "remedy.toml", remedy)
    try:
        about = _About.model_validate(tomllib.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        keys = ".".join(str(key) for key in first["loc"])
        raise UsageError(f"{folder} is no remedy: {keys}: {first['msg']}", remedy) from error
    except (ValueError, RecursionError) as error:  # no TOML, a number of 5000 digits, deep arrays
        raise UsageError(f"{folder} is no remedy: {error}", remedy) from error
    script, prepare = folder / "script.sh", folder / "prepare.sh"
    read_script(script)
    prepares = os.path.lexists(prepare)
    if prepares:
        read_script(prepare)
    # Of a folder that is called by `.`, too.
    return Remedy(
        folder.resolve().name, script, prepare if prepares else None, **about.model_dump()
    )


def load_all(folders: Sequence[Path]) -> list[Remedy]:
    """Read remedies to compare. Raises UsageError, also for two of one name."""
    remedies = [load(folder) for folder in folders]
    names = [one.name for one in remedies]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two remedies are called {name}", "name each once")
    return remedies


def compare(
    paths: Paths,
    config: LabConfig,
    node: Node,
    remedies: list[Remedy],
    *,
    options: Options,
    teller: Teller,
) -> Iterator[tuple[Compared, Explored, Path]]:
    """Explore one after the other; with each comes its results folder. Raises LabError."""
    for remedy in remedies:
        bound = options.preemptions if remedy.preemptions is None else remedy.preemptions
        folder = ForceFolder(paths.results)
        with exploring.scripts([node], remedy.script, remedy.prepare, boot=False) as scripts:
            explored = exploring.explore(
                paths,
                config,
                [node],
                scripts=[replace(script, name=remedy.name) for script in scripts],
                options=replace(options, preemptions=bound),
                folder=folder,
                teller=teller,
            )
        found = explored[remedy.name]
        yield _compared(remedy, node.identity["backend"], found), found, folder.path


def _compared(remedy: Remedy, backend: str, explored: Explored) -> Compared:
    return Compared(
        name=remedy.name,
        backend=backend,
        about=remedy.about,
        costs=remedy.costs,
        word=explored.word,
        reason=explored.reason,
        harm={name: str(one.schedule) for name, one in explored.simplest().items()},
        states=sum(graph.states for graph in explored.graphs),
        orders=sum(graph.orders for graph in explored.graphs),
        preemptions=next(
            (one.preemptions for one in explored.graphs if one.preemptions is not None), None
        ),
        commands=explored.commands,
    )
