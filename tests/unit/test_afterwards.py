"""What went wrong first is what is told, whatever goes wrong after it."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.explore.options import Options
from chainrace.explore.scripts import Script
from chainrace.judge.explored import Explored
from chainrace.node.node import Node
from chainrace.report.explored import ExplorationFolder
from chainrace.report.made_by import Kept
from chainrace.report.results import Asked, ResultsFolder
from chainrace.report.terminal import Terminal
from chainrace.run import evidence, exploring
from chainrace.run.afterwards import afterwards
from chainrace.settings.config import LabConfig
from tests.unit.explorations import ORIGIN
from tests.unit.test_explored import SOUND

FIRST = LabError("the node is gone", "look at it")


def fail(text: str) -> Callable[..., Any]:
    def raises(*_: object, **__: object) -> None:
        raise LabError(text, "mend that")

    return raises


def test_without_an_error_what_is_done_afterwards_may_fail() -> None:
    with pytest.raises(LabError, match="no graph"), afterwards(fail("no graph"), print):
        pass


@pytest.mark.parametrize("first", [FIRST, KeyboardInterrupt()])
def test_the_first_error_goes_on_and_the_later_one_is_told(first: BaseException) -> None:
    said: list[str] = []
    with pytest.raises(type(first)) as told, afterwards(fail("no graph"), said.append):
        raise first
    assert told.value is first
    assert "no graph" in said[0]


class MadeUpRun:
    """Stands for ExplorationRun: what it found, and how it ends."""

    ends: BaseException | None = None
    tells: Explored | None = SOUND

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def run(self) -> None:
        if self.ends is not None:
            raise self.ends

    @property
    def explored(self) -> Explored:
        if self.tells is None:
            raise LabError("nothing steps any more", "look at the gate's log")
        return self.tells


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Node:
    """A node that is only listened to; what is explored there is made up."""
    heard = SimpleNamespace(take=lambda _: [])
    kept = {"fixed": Kept(b"#!/bin/bash\niptables -F\nif x\n")}
    origin = ORIGIN.__class__(**{**vars(ORIGIN), "scripts": kept})
    for module in (exploring, evidence):
        monkeypatch.setattr(module, "ExplorationRun", MadeUpRun)
        monkeypatch.setattr(module, "Listening", lambda *_: heard)
    monkeypatch.setattr(exploring, "origin_of", lambda *_: origin)
    monkeypatch.setattr(MadeUpRun, "ends", None)
    monkeypatch.setattr(MadeUpRun, "tells", SOUND)
    agent = SimpleNamespace(ask=lambda *_, **__: {})
    return cast("Node", SimpleNamespace(identity={"kernel": "6.12"}, agent=agent))


def explore(node: Node, folder: ExplorationFolder) -> dict[str, Explored]:
    return exploring.explore(
        Paths(),
        LabConfig(),
        [node],
        scripts=[Script("fixed", "/fixed.sh", "0123")],
        options=Options(),
        folder=folder,
        teller=Terminal(),
    )


def test_an_exploration_keeps_its_script_and_what_its_shell_says_of_it(
    made_up: Node, tmp_path: Path
) -> None:
    folder = ExplorationFolder(tmp_path)
    explored = explore(made_up, folder)
    document = json.loads((folder.path / "verdict.json").read_text())
    assert document["made_by"]["scripts"].keys() == {"fixed"}
    assert "what stands above it is executed" in explored["fixed"].remark
    assert explored["fixed"].remark == document["scripts"]["fixed"]["remark"]
    assert not document["interrupted"]


def test_what_ends_an_exploration_is_told_where_its_graph_cannot_be_made_then(
    made_up: Node,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(MadeUpRun, "ends", FIRST)
    monkeypatch.setattr(MadeUpRun, "tells", None)
    folder = ExplorationFolder(tmp_path)
    with pytest.raises(LabError, match="the node is gone"):
        explore(made_up, folder)
    assert "and then: LabError: nothing steps any more" in capsys.readouterr().err
    document = json.loads((folder.path / "verdict.json").read_text())
    assert document["interrupted"]
    assert document["verdict"] == "unfinished"


def test_an_exploration_that_cannot_be_concluded_is_told_by_what_ended_it(
    made_up: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MadeUpRun, "ends", KeyboardInterrupt())
    folder = ExplorationFolder(tmp_path)
    monkeypatch.setattr(folder, "conclude", fail("the disk is full"))
    with pytest.raises(KeyboardInterrupt):
        explore(made_up, folder)


def taken(node: Node, folder: ResultsFolder) -> evidence.Evidence:
    return evidence.Evidence(Paths(), [node], LabConfig().limits, folder, Terminal())


def test_what_ends_a_run_is_told_where_it_cannot_be_concluded_then(
    made_up: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "judge_again", fail("a trial is damaged"))
    evidence_of = taken(made_up, ResultsFolder(tmp_path))
    with pytest.raises(LabError, match="the node is gone"), evidence_of.concluded():
        raise FIRST


def test_what_ends_force_in_a_run_is_told_and_what_was_found_is_kept(
    made_up: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ResultsFolder(tmp_path, Asked("a", "fixed", ("exploration",)))
    script = Script("fixed", "/fixed.sh", "0123")
    monkeypatch.setattr(MadeUpRun, "ends", FIRST)
    with pytest.raises(LabError, match="the node is gone"):
        taken(made_up, folder).explore(script, Options())
    assert json.loads((folder.path / "exploration.json").read_text())["verdict"] == "harmless"
    monkeypatch.setattr(MadeUpRun, "tells", None)
    with pytest.raises(LabError, match="the node is gone"):
        taken(made_up, folder).explore(script, Options())
