"""Who hurts whom: subjects crossed with scripts and with each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chainrace.base.paths import Paths
from chainrace.explore.options import Options
from chainrace.explore.scripts import Script
from chainrace.judge.compared import Pair
from chainrace.model.subject import Subject
from chainrace.report import matrix as table
from chainrace.report.terminal import Terminal
from chainrace.run import exploring, session
from chainrace.run.matrix import Matrix
from chainrace.settings.config import LabConfig
from chainrace.settings.keeping import Keeping

GUARD = Subject("guard", "guard.service", packages=("ipset",))
DOCKER = Subject("docker", "docker.service", packages=("docker.io",))
HARM = Pair("guard", "a.sh", "harmful", "it harms guard", {"rules_lost": "s2 d* s*"}, "results/1")
SAFE = Pair("docker", "a.sh", "harmless", "no order harms docker", {}, "results/2")


def test_the_table_has_a_row_for_each_script_and_a_column_for_each_subject() -> None:
    other = Pair("docker", "guard", "not proved", "python3", {}, "results/3")
    assert table.drawn([HARM, SAFE, other]) == [
        {"with": "a.sh", "guard": "harmful: rules_lost", "docker": "harmless"},
        {"with": "guard", "guard": "", "docker": "not proved"},
    ]
    assert table.drawn([]) == []


def test_each_pair_is_told_with_its_shortest_schedules_and_its_results() -> None:
    assert table.schedules([HARM, SAFE]) == [
        "guard and a.sh: rules_lost: s2 d* s*",
        "guard and a.sh: harmful: it harms guard (results/1)",
        "docker and a.sh: harmless: no order harms docker (results/2)",
    ]


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The packages of each node that is brought up; scripts are explored by nobody."""
    up: list[list[str]] = []

    @contextmanager
    def node_up(_: object, config: LabConfig, *__: object) -> Iterator[Any]:
        up.append(config.node.packages)
        yield SimpleNamespace()

    @contextmanager
    def scripts(_: object, file: Path | None, *__: object, **about: Any) -> Iterator[list[Script]]:
        names = [about["against"].name] if about.get("against") else ["fixed", "original"]
        subject = about["subject"]
        yield [Script(name, "", "", subject=subject) for name in ([file.name] if file else names)]

    monkeypatch.setattr(session, "node_up", node_up)
    monkeypatch.setattr(exploring, "scripts", scripts)
    monkeypatch.setattr(
        Matrix,
        "_pair",
        lambda _, __, ___, ____, script: Pair(script.subject.name, script.name, "", "", {}, ""),
    )
    return up


def crossed(files: list[Path | None], others: list[Subject]) -> list[tuple[str, str]]:
    matrix = Matrix([GUARD, DOCKER], files, others, LabConfig(), Options(), Keeping())
    told = cast("Terminal", SimpleNamespace(step=None))
    return [(one.subject, one.other) for one in matrix.explore(Paths(), told)]


def test_a_subject_has_one_node_for_all_scripts(nodes: list[list[str]]) -> None:
    assert crossed([Path("a.sh"), None], []) == [
        ("guard", "a.sh"),
        ("guard", "fixed"),
        ("guard", "original"),
        ("docker", "a.sh"),
        ("docker", "fixed"),
        ("docker", "original"),
    ]
    assert nodes == [["ipset"], ["docker.io"]]


def test_beside_another_subject_it_has_the_packages_of_both_and_none_is_beside_itself(
    nodes: list[list[str]],
) -> None:
    assert crossed([], [DOCKER]) == [("guard", "docker")]
    assert nodes == [["docker.io", "ipset"]]
