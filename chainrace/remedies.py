"""The remedies of examples/remedies, each explored by force, side by side."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field, ValidationError

from chainrace import session
from chainrace.config import LabConfig, Section
from chainrace.errors import UsageError
from chainrace.force.exploration import Options
from chainrace.force.run import Teller
from chainrace.node.node import Node
from chainrace.paths import Paths
from chainrace.race.force import Explored
from chainrace.report.force import ForceFolder


class _About(Section):
    """remedy.toml. `preemptions` bounds an exploration that would not end."""

    about: str
    costs: str
    preemptions: int | None = Field(default=None, ge=0)


@dataclass(frozen=True)
class Remedy:
    """A folder of examples/remedies: its script, what prepares the node, what it is."""

    name: str
    script: Path
    prepare: Path | None
    about: str
    costs: str
    preemptions: int | None


def load(folder: Path) -> Remedy:
    """Read a remedy's folder. Raises UsageError for what is none."""
    try:
        about = _About.model_validate(tomllib.loads((folder / "remedy.toml").read_text()))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise UsageError(
            f"{folder} is no remedy: {first}", "see the folders of examples/remedies"
        ) from error
    prepare = folder / "prepare.sh"
    return Remedy(
        folder.name,
        folder / "script.sh",
        prepare if prepare.exists() else None,
        **about.model_dump(),
    )


def compare(
    paths: Paths,
    config: LabConfig,
    node: Node,
    remedies: list[Remedy],
    *,
    options: Options,
    teller: Teller,
) -> Iterator[tuple[Remedy, Explored, Path]]:
    """Explore one after the other; with each comes its results folder. Raises LabError."""
    for remedy in remedies:
        bound = options.preemptions if remedy.preemptions is None else remedy.preemptions
        folder = ForceFolder(paths.results)
        with session.scripts([node], remedy.script, remedy.prepare, boot=False) as scripts:
            explored = session.explore(
                paths,
                config,
                [node],
                scripts=[replace(script, name=remedy.name) for script in scripts],
                options=replace(options, preemptions=bound),
                folder=folder,
                teller=teller,
            )
        yield remedy, explored[remedy.name], folder.path
