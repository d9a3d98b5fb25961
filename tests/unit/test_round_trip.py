"""What an exploration writes can be read back, judged, drawn and compared, whatever it is."""

import json
import shlex
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, example, given, settings

from chainrace.judge.explored import NOT_EXERCISED, Explored, conclusion
from chainrace.judge.outcome import MODES
from chainrace.judge.outcomemap import Cell, OutcomeMap
from chainrace.model.mode import HEALTHY
from chainrace.report import junit, page, verdict, views, writing
from chainrace.report.comparison import changes
from chainrace.report.explored import ExplorationFolder
from chainrace.report.made_by import Kept
from chainrace.report.results import Asked, ResultsFolder, judge_again, write_verdict
from tests.unit.explorations import EXPLORED, HARMED, ORIGIN
from tests.unit.test_explored import SOUND

# A script whose steps the gate cannot hold: its map has one stop, before its first step.
NO_STEPS = replace(
    SOUND,
    script="unseen.sh",
    unexercised="it runs no process that the gate can hold",
    graphs=(
        replace(
            SOUND.graphs[0],
            map=OutcomeMap(("iptables -N A",) * 70, (), (Cell(0, 0, 70, "k* s*", (HEALTHY,)),)),
        ),
    ),
)
MANY_STEPS = replace(
    SOUND,
    graphs=(
        replace(
            SOUND.graphs[0],
            map=OutcomeMap(("iptables -N A",), ("iptables -S",) * 1001, ()),
        ),
    ),
)
slowly = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def readable(folder: Path) -> verdict.Document:
    """A folder's verdict, once all that is made of it was made."""
    document = verdict.read(folder)
    views.draw(folder)
    ET.fromstring((folder / junit.NAME).read_bytes())
    assert changes(document, document) == []
    return document


@slowly
@example(NO_STEPS)
@example(MANY_STEPS)
@given(EXPLORED)
def test_any_exploration_is_read_back_judged_and_drawn(explored: Explored) -> None:
    with TemporaryDirectory() as parent:
        folder = ExplorationFolder(Path(parent))
        folder.made_by(replace(ORIGIN, scripts={explored.script: Kept(b"#!/bin/sh\n")}))
        folder.end_states(explored)
        folder.conclude({explored.script: explored}, {}, interrupted=False)
        document = readable(folder.path)
        judged = judge_again(folder.path)
        assert document["verdict"] == judged.verdict == explored.verdict
        assert document["reason"] == judged.reason
        (stored,) = document["scripts"].values()
        assert len(stored["doubts"]) == len(explored.doubts)
        assert len(stored["findings"]) == len(explored.findings)


@slowly
@example(NO_STEPS)
@given(EXPLORED)
def test_any_script_in_the_fixs_place_is_read_back_judged_and_drawn(explored: Explored) -> None:
    with TemporaryDirectory() as parent:
        folder = ResultsFolder(Path(parent), Asked("a", explored.script, ("exploration",)))
        folder.exploration(explored)
        word = judge_again(folder.path).verdict
        assert word == explored.verdict
        write_verdict(folder.path, judge_again(folder.path), {}, interrupted=False)
        assert readable(folder.path)["exploration"]["verdict"] == word


@slowly
@given(EXPLORED, EXPLORED)
def test_any_verdict_on_two_scripts_is_the_same_when_it_is_judged_again(
    original: Explored, fixed: Explored
) -> None:
    both = {
        "fixed": replace(fixed, script="fixed"),
        "original": replace(original, script="original"),
    }
    with TemporaryDirectory() as parent:
        folder = ExplorationFolder(Path(parent))
        folder.conclude(both, {}, interrupted=True)
        document, judged = readable(folder.path), judge_again(folder.path)
        assert (document["verdict"], document["reason"]) == (judged.verdict, judged.reason)
        assert document["verdict"] == conclusion(both)[0]


def test_a_script_of_a_thousand_steps_keeps_its_map(tmp_path: Path) -> None:
    folder = ExplorationFolder(tmp_path)
    folder.conclude({"fixed": MANY_STEPS}, {}, interrupted=False)
    (graph,) = readable(folder.path)["scripts"]["fixed"]["graphs"]
    assert len(graph["map"]["script"]) == 1001


def test_an_exploration_that_came_to_one_script_of_two_is_judged_as_one_of_two(
    tmp_path: Path,
) -> None:
    folder = ExplorationFolder(tmp_path)
    folder.made_by(ORIGIN)
    folder.conclude({"fixed": SOUND}, {}, wanted=["fixed", "original"], interrupted=True)
    document, judged = readable(folder.path), judge_again(folder.path)
    assert document["verdict"] == judged.verdict == "inconclusive"
    assert document["reason"] == judged.reason


def test_a_script_without_steps_is_not_exercised_and_its_page_says_so(tmp_path: Path) -> None:
    folder = ExplorationFolder(tmp_path)
    folder.conclude({NO_STEPS.script: NO_STEPS}, {}, interrupted=False)
    assert readable(folder.path)["verdict"] == NOT_EXERCISED
    drawn = (folder.path / page.NAME).read_text()
    assert "it runs no process that the gate can hold" in drawn
    assert "unseen.sh, ipv4, before its first step: no harm" in drawn


def test_a_map_without_room_costs_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MOST_BYTES", 8_000)
    folder = ExplorationFolder(tmp_path)
    folder.conclude({"original": HARMED}, {}, interrupted=False)
    assert (folder.path / verdict.NAME).stat().st_size <= 8_000
    (graph, _) = readable(folder.path)["scripts"]["original"]["graphs"]
    assert graph["map"] is None
    assert "A page has no room for all of: original, ipv4" in (folder.path / page.NAME).read_text()


def test_what_is_too_large_even_without_maps_is_cut_and_still_a_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MOST_BYTES", 100_000)
    folder = ExplorationFolder(tmp_path)
    doubts = tuple(f"process {number} changed ipv4/mangle by itself" for number in range(9000))
    folder.conclude({"a": replace(SOUND, script="a", doubts=doubts)}, {}, interrupted=False)
    assert readable(folder.path)["verdict"] == "not proved"


def test_every_class_has_its_letter_and_its_colours() -> None:
    for told in (
        {one.letter for one in MODES.values()},
        {one.light for one in MODES.values()},
        {one.dark for one in MODES.values()},
        {one.dot for one in MODES.values()},
        {one.gravity for one in MODES.values()},
    ):
        assert len(told) == len(MODES)
    assert all(one.means for one in MODES.values() if one.name != HEALTHY)


def test_a_script_may_have_any_name_and_its_files_have_one_that_can_be() -> None:
    for name in ("../../etc/passwd", "a b", "x" * 300, "", ".", "..", "\ud800\x00/", "-rf"):
        plain = writing.file_name(name)
        assert plain == Path(plain).name
        assert plain not in ("", ".", "..")
        assert len(f"ends-{plain}-ipv4.json") < 255
    assert writing.file_name("our-save_v2.sh") == "our-save_v2.sh"


def test_results_say_how_they_were_made(tmp_path: Path) -> None:
    folder = ExplorationFolder(tmp_path)
    folder.made_by(ORIGIN)
    folder.conclude({"fixed": SOUND, "original": HARMED}, {}, interrupted=False)
    made = readable(folder.path)["made_by"]
    assert (made["command"], made["kubelet"], made["backend"]) == (
        list(ORIGIN.command),
        "1.34.4",
        "nft",
    )
    assert (folder.path / "scripts" / "original").read_bytes() == ORIGIN.scripts["original"].text
    assert (folder.path / "prepare").read_bytes() == ORIGIN.prepare
    drawn = (folder.path / page.NAME).read_text().replace("&#39;", "'")
    assert shlex.join(ORIGIN.command) in drawn
    assert made["scripts"]["original"]["sha256"] in drawn
    assert json.loads((folder.path / "made_by.json").read_text()) == made
