"""The mitigations of examples/mitigations, each explored exhaustively, side by side."""

import os
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field, ValidationError

from chainrace.base.errors import UsageError
from chainrace.base.files import read_text_input
from chainrace.base.paths import Paths
from chainrace.explore.options import Options
from chainrace.explore.run import Teller
from chainrace.judge.compared import Compared
from chainrace.judge.explored import Explored
from chainrace.node.node import Node
from chainrace.report.explored import ExplorationFolder
from chainrace.run import exploring
from chainrace.settings.config import MOST_TIMES, LabConfig, Section
from chainrace.settings.scripts import read_script


class _About(Section):
    """mitigation.toml. `preemptions` bounds an exploration that would not end."""

    about: str
    costs: str
    preemptions: int | None = Field(default=None, ge=0, le=MOST_TIMES)


@dataclass(frozen=True)
class Mitigation:
    """A folder of examples/mitigations: its script, what prepares the node, what it is."""

    name: str
    script: Path
    prepare: Path | None
    about: str
    costs: str
    preemptions: int | None


def load(folder: Path) -> Mitigation:
    """Read a mitigation's folder. Raises UsageError for what is none, or has no script."""
    advice = "see the folders of examples/mitigations"
    text = read_text_input(folder / "mitigation.toml", advice)
    try:
        about = _About.model_validate(tomllib.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        keys = ".".join(str(key) for key in first["loc"])
        raise UsageError(f"{folder} is no mitigation: {keys}: {first['msg']}", advice) from error
    except (ValueError, RecursionError) as error:  # no TOML, a number of 5000 digits, deep arrays
        raise UsageError(f"{folder} is no mitigation: {error}", advice) from error
    script, prepare = folder / "script.sh", folder / "prepare.sh"
    read_script(script)
    prepares = os.path.lexists(prepare)
    if prepares:
        read_script(prepare)
    # Of a folder that is called by `.`, too.
    return Mitigation(
        folder.resolve().name, script, prepare if prepares else None, **about.model_dump()
    )


def load_all(folders: Sequence[Path]) -> list[Mitigation]:
    """Read mitigations to compare. Raises UsageError, also for two of one name."""
    mitigations = [load(folder) for folder in folders]
    names = [one.name for one in mitigations]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two mitigations are called {name}", "name each once")
    return mitigations


def compare(
    paths: Paths,
    config: LabConfig,
    node: Node,
    mitigations: list[Mitigation],
    *,
    options: Options,
    teller: Teller,
) -> Iterator[tuple[Compared, Explored, Path]]:
    """Explore one after the other; with each comes its results folder. Raises LabError."""
    for mitigation in mitigations:
        bound = options.preemptions if mitigation.preemptions is None else mitigation.preemptions
        folder = ExplorationFolder(paths.results)
        with exploring.scripts(
            [node], mitigation.script, mitigation.prepare, boot=False
        ) as scripts:
            explored = exploring.explore(
                paths,
                config,
                [node],
                scripts=[replace(script, name=mitigation.name) for script in scripts],
                options=replace(options, preemptions=bound),
                folder=folder,
                teller=teller,
            )
        found = explored[mitigation.name]
        yield _compared(mitigation, node.identity["backend"], found), found, folder.path


def _compared(mitigation: Mitigation, backend: str, explored: Explored) -> Compared:
    return Compared(
        name=mitigation.name,
        backend=backend,
        about=mitigation.about,
        costs=mitigation.costs,
        verdict=explored.verdict,
        reason=explored.reason,
        harm={name: str(one.schedule) for name, one in explored.shortest().items()},
        states=sum(graph.states for graph in explored.graphs),
        orders=sum(graph.orders for graph in explored.graphs),
        preemptions=next(
            (one.preemptions for one in explored.graphs if one.preemptions is not None), None
        ),
        commands=explored.commands,
    )
