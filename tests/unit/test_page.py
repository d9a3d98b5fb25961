"""report.html and map.png, drawn from folders as runs leave them."""

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from chainrace.base.errors import UsageError
from chainrace.base.paths import REPOSITORY
from chainrace.judge import outcome
from chainrace.judge.replayed import Replayed
from chainrace.judge.verdict import decide
from chainrace.model.mode import INIT_FAILED
from chainrace.model.trial import Seen
from chainrace.report import page, picture, verdict, views
from chainrace.report.explored import ExplorationFolder
from chainrace.report.maps import Grid, first_shown, grids
from chainrace.report.results import Asked, ResultsFolder, write_verdict
from chainrace.report.trials import SAMPLE, record_of
from chainrace.report.words import GLOSSARY, covered, meaning
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET
from tests.unit.conftest import reference_of
from tests.unit.explorations import HARMED, ORIGIN
from tests.unit.test_explored import BROKEN, DOUBTS, SOUND
from tests.unit.test_explored_report import replayed

NASTY = '<script>alert("x")</script>\x1b[31mred\x1b[0m'


@pytest.fixture
def explored(tmp_path: Path) -> Path:
    folder = ExplorationFolder(tmp_path)
    folder.made_by(ORIGIN)
    last: Replayed = replayed()
    ending = replace(last.ending, journal=(f"iptables {NASTY}",))
    found = HARMED.findings[0]
    folder.keep("original", found, replace(last, schedule=found.schedule, ending=ending))
    folder.conclude({"fixed": SOUND, "original": HARMED}, {"kernel": NASTY}, interrupted=False)
    return folder.path


@pytest.fixture
def raced(tmp_path: Path, seen: Callable[..., Seen]) -> Path:
    folder = ResultsFolder(tmp_path, Asked("outage", "mine.sh", ("exploration", "trials")))
    folder.exploration(BROKEN)
    judged = outcome.judge(KUBELET, reference_of(seen()), seen().ending)
    records = [
        record_of(1, "original", SAMPLE, 0.5, seen=seen(), outcome=judged),
        record_of(2, "fixed", SAMPLE, 0.5, seen=seen(), outcome=judged),
    ]
    failed = replace(records[0], number=3, outcome=INIT_FAILED)
    for record in (*records, failed):
        folder.add(record)
    decided = decide(record.judged() for record in records)
    write_verdict(folder.path, decided, {"kernel": "6.12", "backend": "nft"}, interrupted=True)
    return folder.path


class Checked(HTMLParser):
    """Every element is closed, and nothing comes from elsewhere."""

    VOID = frozenset({"meta", "circle", "line", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        assert self.open == []
        assert len(set(self.ids)) == len(self.ids)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert not {"src", "srcset", "data", "action"} & given.keys()
        # Of this page, or a file of the same folder.
        assert not re.match(r"/|[^/#]*:", given.get("href") or "#")
        if "id" in given:
            self.ids.append(str(given["id"]))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_of_an_exploration_has_its_map_its_failures_and_how_to_replay_them(
    explored: Path,
) -> None:
    text = views.draw(explored).read_text()
    Checked(text)
    assert "<h1>confirmed</h1>" in text
    assert "begins after kubelet's step 0, goes on after 2: init_failed" in text
    command = f"./lab replay --from {explored.resolve()}"
    said = text.replace("&#39;", "'")
    assert f"<code>{command} 1</code>" in said
    assert f"data-replay=\"{command} --of original 's1 k2 s* k*'\"" in said
    assert "mangle :KUBE-IPTABLES-HINT" not in text  # this finding lost nothing
    assert "iptables -X" in text[text.index("Timeline") :]  # the step that did the harm


def test_the_top_says_what_was_tested_and_how_it_fails(explored: Path) -> None:
    text = views.draw(explored).read_text().replace("&#39;", "'")
    top = text[text.index("<header") : text.index("<nav")]
    tested = re.search("Tested: ([^<]*)</p>", top)
    assert tested
    assert tested[1].split(" \N{MULTIPLICATION SIGN} ") == [
        "fixed and original",
        "kubelet 1.34.4",
        "nft backend",
    ]
    assert meaning(INIT_FAILED, "kubelet") in top
    assert "<code>s1 k2 s* k*</code>" in top
    assert f"<code>./lab replay --from {explored.resolve()} 1</code>" in top
    assert '<a href="#finding-1">' in top
    assert 'id="finding-1"' in text
    assert "What the verdict covers, and what not" in top
    for said in covered(verdict.read(explored)):
        assert f"<li>{said}</li>" in top


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({}, ["mine.sh"]),
        ({"kubelet": "Kubernetes v1.36.3"}, ["mine.sh", "kubelet v1.36.3"]),
        ({"backend": "legacy"}, ["mine.sh", "legacy backend"]),
        ({"image": {"recipe": "image-1", "root_sha256": "0"}}, ["mine.sh", "the lab's own image"]),
        ({"image": {"file": "azl.vhdx", "sha256": "0"}}, ["mine.sh", "image azl.vhdx"]),
        ({"image": "banana"}, ["mine.sh"]),
    ],
)
def test_what_was_tested_is_said_as_far_as_it_is_known(
    tmp_path: Path, node: dict[str, object], said: list[str]
) -> None:
    folder = ExplorationFolder(tmp_path)
    folder.conclude({"mine.sh": replace(SOUND, script="mine.sh")}, node, interrupted=False)
    assert page.tested(verdict.read(folder.path)) == said


def test_where_a_verdict_is_confirmed_nothing_is_called_a_failure_of_it(explored: Path) -> None:
    text = page.draw(explored)
    assert "<h1>confirmed</h1>" in text
    headings = re.findall(r"<h2[^>]*>(.*)</h2>", text)
    assert "How the original fails, as expected" in headings
    assert "How the original fails: the evidence" in headings
    assert not {"Failures", "Failure modes"} & set(headings)


def test_the_page_explains_its_terms(explored: Path) -> None:
    text = page.draw(explored).replace("&#39;", "'")
    for term, said in GLOSSARY.items():
        assert f'<dt id="term-{term.replace(" ", "-")}">{term}</dt><dd>{said}</dd>' in text
    assert '<a href="#glossary">' in text
    assert '<a href="#term-schedule">' in text


def test_the_shortest_cell_that_fails_is_marked_in_each_grid_with_harm(explored: Path) -> None:
    text = page.draw(explored)
    drawn = page.grids_of(verdict.read(explored))
    assert text.count("data-shortest ") == sum(one.harmed > 0 for one in drawn) < len(drawn)
    assert text.count(" selected>") == 1
    assert re.search(r'data-shortest [^>]*data-schedule="s1 k1 s\* k\*"', text)


def test_harm_by_what_is_tested_is_shown_before_the_originals() -> None:
    def grid(script: str, schedule: str) -> Grid:
        cell = {"before": 0, "script": 1, "until": 1, "schedule": schedule}
        cells = [{**cell, "modes": [INIT_FAILED]}]
        drawn = {"kubelet": ["a"], "script": ["b"], "cells": cells}
        return grids(script, {"family": "ipv4", "map": drawn})[0]

    both = [grid("original", "s1 k1 s* k*"), grid("fixed", "s1 k1 s2 k* s*")]
    assert first_shown(both, lambda script: script == "original") == 1
    assert first_shown(both, lambda _: False) == 0
    assert first_shown([], lambda _: False) == 0


def test_nothing_of_a_node_or_of_a_scripts_name_can_act_in_the_page(
    explored: Path, tmp_path: Path
) -> None:
    named = ExplorationFolder(tmp_path / "named")
    named.conclude({NASTY: replace(HARMED, script=NASTY)}, {}, interrupted=False)
    for folder in (explored, named.path):
        inert(page.draw(folder))
    kept = next(explored.rglob("kubelet.log")).read_text()
    assert "red" in kept
    assert "\x1b" not in kept


def inert(text: str) -> None:
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert "\x1b" not in text
    assert "default-src 'none'" in text
    assert not re.search(r"https?://", text)


def test_the_page_of_a_run_has_its_rates_its_trials_and_its_lines(raced: Path) -> None:
    text = page.draw(raced)
    Checked(text)
    assert "kubelet, randomized trials" in text
    assert "mine.sh: harmed in 0 of 1" in text
    assert "This run was interrupted" in text
    assert "trial 3, original: init_failed" in text
    assert text.count("<circle") == 3


def test_the_page_says_every_doubt_and_what_a_script_does_to_others(tmp_path: Path) -> None:
    folder = ExplorationFolder(tmp_path)
    alone = "takes away ipv4 filter -A INPUT -i lo -j ACCEPT"
    mine = replace(SOUND, script="mine.sh", doubts=DOUBTS, alone=(alone,), remark="it is odd")
    folder.conclude({"mine.sh": mine}, {}, interrupted=False)
    text = views.draw(folder.path).read_text()
    Checked(text)
    assert "<h1>not proved</h1>" in text
    for said in (*DOUBTS, alone, "it is odd"):
        assert f"{said}<" in text


def test_the_page_of_an_interrupted_exploration_says_what_it_found(tmp_path: Path) -> None:
    half = replace(HARMED, graphs=(replace(HARMED.graphs[0], open=7),), findings=(), begun=False)
    folder = ExplorationFolder(tmp_path)
    folder.conclude(
        {"fixed": SOUND, "original": half}, {}, wanted=["fixed", "original"], interrupted=True
    )
    text = page.draw(folder.path)
    assert "This run was interrupted" in text
    assert "harm was seen, but is not confirmed by replays: init_failed" in text
    assert "7 steps still to be tried" in text


def test_every_key_of_a_verdict_stands_in_the_reference(raced: Path, explored: Path) -> None:
    reference = (REPOSITORY / "docs" / "reference.md").read_text()
    for folder in (raced, explored):
        document = verdict.read(folder)
        for key in document:
            assert f"`{key}`" in reference, key
        (found,) = (one for one in verdict.explored_in(document).values() if one["findings"])
        for key in {*found, *found["findings"][0]}:
            assert f"`{key}`" in reference, key


def test_a_folder_that_is_none_gives_no_page(tmp_path: Path) -> None:
    for content in (None, "{", "[]", '{"kind": "other"}'):
        if content is not None:
            (tmp_path / "verdict.json").write_text(content)
        with pytest.raises(UsageError):
            views.draw(tmp_path)
        assert not (tmp_path / page.NAME).exists()


def test_the_map_is_a_picture_too(explored: Path) -> None:
    document = verdict.read(explored)
    drawn = picture.render(page.grids_of(document), "confirmed")
    assert drawn is not None
    with Image.open(io.BytesIO(drawn)) as image:
        assert image.format == "PNG"
        assert image.width >= picture.LEAST_WIDTH
    assert picture.render([], "confirmed") is None


def test_neighbouring_places_with_the_same_ends_are_one_grid(explored: Path) -> None:
    (graph, _) = json.loads((explored / "verdict.json").read_text())["scripts"]["original"][
        "graphs"
    ]
    found = grids("original", graph)
    assert len(found) < len({cell["script"] for cell in graph["map"]["cells"]})
    assert found[0].stop == 1
    assert found[0].last == "iptables-save"


def test_a_script_that_flushes_before_kubelet_begins_has_a_schedule_too(raced: Path) -> None:
    flush = {"actor": "script", "program": "iptables", "arguments": ["-F"], "started": 0.1}
    watch = raced / "trials" / "0003-original" / "watch.json"
    watch.write_text(json.dumps({"commands": [flush]}))
    assert "./lab replay 's* k*'" in page.draw(raced).replace("&#39;", "'")
