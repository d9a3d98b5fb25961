"""The steps of a finding: read with care, laid out, and drawn as a picture and as a trace."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import pytest

from chainrace.base.errors import UsageError
from chainrace.model.mode import INIT_FAILED
from chainrace.report import failures, page, timeline, trace, views
from chainrace.report.explored import ExplorationFolder
from tests.unit.explorations import HARMED, ORIGIN
from tests.unit.test_damaged_results import ODD
from tests.unit.test_explored import SOUND, finding
from tests.unit.test_explored_report import replayed
from tests.unit.timelines import FAILS, GUARD, HARMS, JUMP, SSH, STEPS, keep, step

TEXT = "[iptables.service] iptables -X"  # of the timeline as text


def steps(*changed: dict[str, Any]) -> tuple[timeline.Step, ...]:
    """Steps as they are read."""
    data = json.dumps({"schema": 1, "steps": changed or STEPS})
    return timeline.STEPS.validate_json(data, strict=True).steps


@pytest.fixture
def found(tmp_path: Path) -> Path:
    """The results of an exploration with one finding, which has no steps.json yet."""
    (one,) = HARMED.findings
    folder = ExplorationFolder(tmp_path)
    folder.made_by(ORIGIN)
    folder.keep("original", one, replace(replayed(), schedule=one.schedule, steps=()))
    folder.conclude({"fixed": SOUND, "original": HARMED}, {"kernel": "6.12"}, interrupted=False)
    return folder.path


def evidence_in(folder: Path) -> Path:
    (place,) = (folder / "findings").iterdir()
    return place


def test_what_a_replay_leaves_is_read(tmp_path: Path) -> None:
    (one,) = HARMED.findings
    folder = ExplorationFolder(tmp_path)
    folder.keep("original", one, replayed())
    (read,) = timeline.read(folder.path, evidence_in(folder.path))
    assert (read.command, read.harms, read.begins, read.ends) == ("iptables -X", True, 0.25, 0.5)


def test_steps_are_read_as_they_were_written(found: Path) -> None:
    keep(evidence_in(found))
    read = timeline.read(found, evidence_in(found))
    assert len(read) == len(STEPS)
    harm = read[HARMS]
    assert (harm.lane, harm.actor, harm.command) == (
        "s",
        "iptables.service",
        "iptables -t filter -F",
    )
    assert (harm.code, harm.removed, harm.harms, harm.fails) == (0, (JUMP, SSH), True, False)
    assert (read[0].code, read[0].ends) == (None, None)
    assert list(timeline.kept(found)) == [(f"findings/{evidence_in(found).name}", read)]


def test_boxes_stand_side_by_side_in_the_order_of_execution() -> None:
    picture = timeline.lay_out(steps())
    assert [lane.letter for lane in picture.lanes] == ["k", "x", "s"]
    assert [box.name for box in picture.boxes][:7] == ["s1", "s2", "s3", "k1", "k2", "k3", "k4"]
    for before, box in itertools.pairwise(picture.boxes):
        assert box.x > before.x + before.width
    tops = {lane.letter: lane.y for lane in picture.lanes}
    for box in picture.boxes:
        assert tops[box.step.lane] < box.y < tops[box.step.lane] + picture.height / 3
        assert box.width >= timeline.LETTER * max(map(len, box.lines))
    assert picture.boxes[-1].x + picture.boxes[-1].width < picture.width
    assert picture.boxes[-1].y + timeline.BOX < picture.height


def test_where_another_lane_goes_on_there_is_a_line() -> None:
    picture = timeline.lay_out(steps())
    lanes = [one["lane"] for one in STEPS]
    switches = sum(a != b for a, b in itertools.pairwise(lanes))
    assert len(picture.turns) == switches
    x, from_, to = picture.turns[0]
    assert picture.boxes[2].x + picture.boxes[2].width < x < picture.boxes[3].x
    assert from_ > to  # from the script's lane up to kubelet's


def test_the_step_that_does_the_harm_is_marked_in_words_and_looked_at_first() -> None:
    picture = timeline.lay_out(steps())
    assert picture.chosen == HARMS
    assert picture.boxes[HARMS].lines == ("s5 ✕ harms", "-2")
    assert picture.boxes[FAILS].lines == ("k5 ! fails", "")
    assert "harms" in picture.boxes[HARMS].said
    assert "exit code 2" in picture.boxes[FAILS].said
    sound = [{**one, "harms": False} for one in STEPS]
    assert timeline.lay_out(steps(*sound)).chosen == FAILS
    assert timeline.lay_out(steps(STEPS[0])).chosen == 0


def test_a_lane_that_nobody_knows_has_its_actors_name() -> None:
    (lane,) = timeline.lay_out(steps(step("q", "ls", 0, actor="somebody"))).lanes
    assert lane.title == "q: somebody"


def test_the_page_shows_each_step_with_its_rules_and_no_text(found: Path) -> None:
    keep(evidence_in(found))
    text = page.draw(found)
    assert text.count('<button type="button" class="box') == len(STEPS)
    assert f"<code>- {escape(JUMP)}</code>" in text
    assert f"<code>+ {escape(GUARD)}</code>" in text
    assert "no exit code: it had not ended" in text
    assert TEXT not in text


def test_without_steps_the_page_has_the_timeline_as_text(found: Path) -> None:
    text = page.draw(found)
    assert TEXT in text
    assert '<div class="timeline">' not in text
    assert "trace.json" not in text


SOUND_STEP = STEPS[1]
BAD = [
    ("schema", {"schema": 2}),
    ("steps", {"steps": None}),
    ("steps", {"steps": []}),
    ("steps", {"steps": [SOUND_STEP] * (timeline.MOST_STEPS + 1)}),
    ("steps.0", {"steps": [3]}),
    *(
        (f"steps.0.{name}", {"steps": [{**SOUND_STEP, name: value}]})
        for name, value in (
            ("lane", "kx"),
            ("lane", "k\n"),
            ("lane", "<"),
            ("actor", None),
            ("command", ["iptables"]),
            ("code", "0"),
            ("code", 2**40),
            ("code", 0.5),
            ("begins", -0.1),
            ("begins", float("nan")),
            ("ends", float("inf")),
            ("ends", 10**9),
            ("added", "ipv4"),
            ("removed", [3]),
            ("harms", 1),
            ("fails", None),
        )
    ),
]


@pytest.mark.parametrize(
    ("where", "changes"), BAD, ids=[f"{one}-{n}" for n, (one, _) in enumerate(BAD)]
)
def test_steps_with_a_value_that_cannot_be_are_none(
    found: Path, where: str, changes: dict[str, Any]
) -> None:
    keep(evidence_in(found), **changes)
    with pytest.raises(UsageError, match=rf"has no steps: {where}") as told:
        timeline.read(found, evidence_in(found))
    assert "\n" not in told.value.what
    assert TEXT in page.draw(found)


@pytest.mark.parametrize(
    "make",
    [
        *ODD,
        lambda file: file.write_bytes(b"\xff{["),
        lambda file: file.write_text("[" * 200_000),
        lambda file: file.write_text('{"schema": 1, "steps": [{"lane": "\\ud800"}]}'),
        lambda file: file.write_text(" " * (timeline.MOST_BYTES + 1)),
        lambda file: file.symlink_to(keep(file.parent / "elsewhere")),
    ],
)
def test_a_file_that_is_damaged_too_large_or_a_link_is_not_used(
    found: Path, make: Callable[[Path], object]
) -> None:
    make(evidence_in(found) / timeline.NAME)
    views.draw(found)
    assert TEXT in (found / page.NAME).read_text()
    assert not (evidence_in(found) / trace.NAME).exists()


def test_steps_in_a_folder_that_is_a_link_are_not_used(found: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    evidence_in(found).rename(outside)
    keep(outside)
    (found / "findings" / "original-ipv4-init_failed").symlink_to(outside)
    assert list(timeline.kept(found)) == []
    views.draw(found)
    assert not (outside / trace.NAME).exists()
    assert 'class="timeline"' not in (found / page.NAME).read_text()


def test_nothing_in_a_step_can_act_in_the_page(found: Path) -> None:
    nasty = '"><script>alert(1)</script>\x1b[31m'
    texts = {"command": nasty, "actor": nasty, "added": [nasty], "removed": [nasty]}
    keep(evidence_in(found), [{**one, **texts} for one in STEPS])
    text = page.draw(found)
    assert '<div class="timeline">' in text
    assert "<script>alert" not in text
    assert "\x1b" not in text


def test_a_page_has_room_for_so_many_timelines(
    found: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(evidence_in(found))
    monkeypatch.setattr(failures, "MOST_OF_STEPS", 100)
    assert TEXT in page.draw(found)


def test_a_trace_has_a_thread_for_each_lane_and_a_slice_for_each_step() -> None:
    read = steps()
    events = json.loads(trace.render(read))["traceEvents"]
    threads = {one["tid"]: one["args"]["name"] for one in events if one["name"] == "thread_name"}
    assert [name[0] for name in threads.values()] == ["k", "x", "s"]
    slices = [one for one in events if one["ph"] == "X"]
    assert [one["ts"] for one in slices] == [round(one.begins * 10**6) for one in read]
    harm = slices[HARMS]
    assert (harm["name"], harm["cat"], harm["cname"]) == (
        "s5 iptables -t filter -F",
        "harms",
        trace.HARMS,
    )
    assert harm["args"]["removed"] == [JUMP, SSH]
    assert (slices[FAILS]["cat"], slices[FAILS]["args"]["code"]) == ("fails", 2)
    # Slices of one thread follow each other: a viewer takes those that cross for nested ones.
    for thread in threads:
        mine = [one for one in slices if one["tid"] == thread]
        for one, following in itertools.pairwise(mine):
            assert 0 < one["dur"] <= following["ts"] - one["ts"]


def test_a_step_that_did_not_end_is_drawn_up_to_its_lanes_next() -> None:
    begins, saves = [
        one
        for one in json.loads(trace.render(steps(*STEPS[:2])))["traceEvents"]
        if one["ph"] == "X"
    ]
    assert begins["dur"] == saves["ts"] - begins["ts"]
    assert begins["args"]["ends"] is None


def test_each_finding_with_steps_has_its_trace_and_the_page_leads_to_it(found: Path) -> None:
    keep(evidence_in(found))
    views.draw(found)
    drawn = evidence_in(found) / trace.NAME
    assert json.loads(drawn.read_text())["traceEvents"]
    assert (
        f'href="findings/{evidence_in(found).name}/trace.json"' in (found / page.NAME).read_text()
    )


def test_a_trace_replaces_a_link_and_leaves_what_it_led_to(found: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    keep(evidence_in(found))
    (evidence_in(found) / trace.NAME).symlink_to(elsewhere)
    views.draw(found)
    assert elsewhere.read_text() == "mine"
    assert not (evidence_in(found) / trace.NAME).is_symlink()


def test_a_folder_of_any_name_is_led_to(tmp_path: Path) -> None:
    folder = ExplorationFolder(tmp_path)
    mine = replace(HARMED, script="x", findings=(finding("s1 k2 s* k*", INIT_FAILED),))
    odd = folder.path / "findings" / 'x-ipv4-a#b?c%d"e'
    keep(odd)
    (odd / "schedule.txt").write_text("s1 k2 s* k*")
    folder.conclude({"x": mine}, {}, interrupted=False)
    assert (
        'href="findings/x-ipv4-a%23b%3Fc%25d%22e/trace.json"' in views.draw(folder.path).read_text()
    )
