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

from chainrace.errors import UsageError
from chainrace.explore.replay import Replayed
from chainrace.paths import REPOSITORY
from chainrace.race import outcome
from chainrace.race.outcome import INIT_FAILED
from chainrace.race.trial import Seen
from chainrace.race.verdict import decide
from chainrace.report import page, picture, verdict, views
from chainrace.report.explored import ExplorationFolder
from chainrace.report.maps import grids
from chainrace.report.results import Asked, ResultsFolder, write_verdict
from chainrace.report.trials import SAMPLE, record_of
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
    judged = outcome.judge(reference_of(seen()), seen().ending)
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
        assert (given.get("href") or "#").startswith("#")
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
    assert "[iptables.service] iptables -X" in text


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
