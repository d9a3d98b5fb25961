"""Damaged results folders: one clear line, or a page without the part; never a hang."""

import copy
import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from chainrace.base.errors import LabError, UsageError
from chainrace.judge.conclusion import conclude
from chainrace.judge.verdict import decide
from chainrace.report import junit, page, picture, verdict, views
from chainrace.report.comparison import last_good
from chainrace.report.killed import conclude_killed
from chainrace.report.results import ResultsFolder, judge_again
from chainrace.report.trials import read_trials

CELL = {"before": 0, "script": 1, "until": 1, "schedule": "s1 k1 s* k*", "modes": ["healthy"]}
MAP = {"kubelet": ["iptables -N A"], "script": ["iptables-save"], "cells": [CELL]}
GRAPH = {"family": "ipv4", "modes": {"healthy": 1}, "map": MAP}
FINDING = {
    "family": "ipv4",
    "modes": ["init_failed"],
    "schedule": "s1 k7 s* k*",
    "missing": [],
    "azure_npm_finds": None,
    "end_states": 1,
    "replays": 3,
    "replays_with_the_same_end": 3,
    "monitor": None,
}
EXPLORED = {"verdict": "harmful", "reason": "so", "graphs": [GRAPH], "findings": [FINDING]}
ARM = {
    "trials": 2,
    "outcomes": {"healthy": 2},
    "rate": 0.0,
    "rate_low": 0.0,
    "rate_high": 0.8,
    "azure_npm": {"tried": 1, "failed": 0},
}
RUN: dict[str, Any] = {
    "schema": 4,
    "kind": "run",
    "verdict": "inconclusive",
    "reason": "for the test",
    "interrupted": False,
    "scenario": {"name": "outage", "script": "fixed", "evidence": ["exploration", "trials"]},
    "scripts": {"original": ARM, "fixed": ARM},
    "exploration": EXPLORED,
    "reboot": {
        "verdict": "harmless",
        "reason": "all is back",
        "service": "active",
        "kubelet": {"ipv4": ["healthy"]},
    },
    "node": {"kernel": "6.12", "backend": "nft"},
    "known_bad_lines": [],
}
TRIAL = {
    "number": 1,
    "script": "original",
    "phase": "sample",
    "offset": 0.5,
    "outcome": "init_failed",
    "signature": True,
    "hit": True,
    "families": {"ipv4": {"modes": ["init_failed"], "cause": "it said so", "missing": ["x"]}},
    "script_code": 0,
    "seconds": {"first_step": 1.0},
    "error": None,
}
VIEWS = (page.NAME, picture.NAME, junit.NAME)


def stored(folder: Path, document: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "verdict.json").write_text(json.dumps(document))
    return folder


def test_a_sound_folder_has_all_views(tmp_path: Path) -> None:
    views.draw(stored(tmp_path, RUN))
    assert all((tmp_path / name).stat().st_size for name in VIEWS)


@pytest.mark.parametrize("broken", [page, picture, junit], ids=lambda one: one.NAME)
def test_where_one_view_cannot_be_drawn_none_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Any
) -> None:
    def fail(*_: object) -> None:
        raise ValueError

    for name in VIEWS:
        (tmp_path / name).write_text("of before")
    monkeypatch.setattr(broken, "draw" if broken is page else "render", fail)
    with pytest.raises(ValueError, match=r"^$"):
        views.draw(stored(tmp_path, RUN))
    assert {(tmp_path / name).read_text() for name in VIEWS} == {"of before"}


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_replaces_a_link_and_leaves_what_it_led_to(tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    folder = stored(tmp_path / "run", RUN)
    (folder / name).symlink_to(elsewhere)
    views.draw(folder)
    assert elsewhere.read_text() == "mine"
    assert not (folder / name).is_symlink()


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_that_cannot_be_written_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(LabError, match="cannot be written") as told:
        views.draw(stored(tmp_path, RUN))
    assert "\n" not in told.value.what


@pytest.mark.parametrize("bad", ["\x00", "\x1b[2J", "\ufffe", "\uffff", "\ud800"])
def test_junit_is_always_xml(bad: str) -> None:
    named = {**RUN["scenario"], "name": f"a{bad}b", "script": f"c{bad}d"}
    root = ET.fromstring(junit.render({**RUN, "scenario": named, "reason": f"e{bad}f"}))
    assert root[0].get("name") == "ab"
    assert "exploration: cd" in [case.get("name") for case in root[0]]


def pipe(file: Path) -> None:
    os.mkfifo(file)


def endless(file: Path) -> None:
    file.symlink_to("/dev/zero")


def folder(file: Path) -> None:
    file.mkdir()


def large(file: Path) -> None:
    with file.open("wb") as made:
        made.truncate(2**27)


ODD = [pipe, endless, folder, large]


@pytest.mark.parametrize("make", ODD)
def test_what_is_no_plain_file_is_no_verdict_and_no_trials(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    for name, read in (("verdict.json", verdict.read), ("trials.jsonl", read_trials)):
        make(tmp_path / name)
        with pytest.raises(UsageError) as told:
            read(tmp_path)
        assert "\n" not in told.value.what


PARTS = ["scenario.json", "exposure.json", "exploration.json", "reboot.json", "trials-end.json"]


@pytest.mark.parametrize("make", ODD)
@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_a_run_that_is_no_plain_file_is_not_judged(
    tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    if name != "scenario.json":
        asked = {"name": "a", "script": "fixed", "evidence": ["exploration", "trials", "reboot"]}
        (tmp_path / "scenario.json").write_text(json.dumps(asked))
    (tmp_path / "trials.jsonl").write_text("")
    make(tmp_path / name)
    with pytest.raises(UsageError, match=name):
        judge_again(tmp_path)


@pytest.mark.parametrize(
    "evidence", [[], ["exploration", "exploration"], ["banana"], "exploration", None]
)
def test_evidence_that_nobody_can_ask_for_is_not_judged(tmp_path: Path, evidence: object) -> None:
    asked = {"name": "a", "script": "b", "evidence": evidence}
    (tmp_path / "scenario.json").write_text(json.dumps(asked))
    with pytest.raises(UsageError, match=r"scenario\.json is not what a run leaves: evidence"):
        judge_again(tmp_path)


def test_nothing_is_harmless_for_want_of_evidence() -> None:
    assert conclude([], decide([]), None, None).verdict == "unfinished"


@pytest.mark.parametrize("name", ["scenario.json", "exploration.json", "reboot.json", "node.json"])
def test_a_killed_run_with_a_damaged_part_is_told_of_and_stays(tmp_path: Path, name: str) -> None:
    killed = ResultsFolder(tmp_path)
    killed.node({"kernel": "6.12"})
    (killed.path / name).write_text('{"verdict": "harmful", "reason": "so", "backend": 3}')
    said: list[str] = []
    conclude_killed(tmp_path, said.append)
    assert "cannot be judged" in said[0]
    assert name in said[0]
    assert not (killed.path / "verdict.json").exists()


@pytest.mark.parametrize("read", [verdict.read, judge_again, views.draw, last_good])
def test_a_name_that_no_folder_can_have_is_refused(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    for name in ("n" * 300, "n/" * 3000, "a\0b", "nowhere"):
        with pytest.raises(UsageError):
            read(tmp_path / name)


@pytest.mark.parametrize("make", [*ODD, lambda file: file.write_bytes(b"\xff{[")])
@pytest.mark.parametrize("name", ["kubelet.log", "timeline.txt", "schedule.txt", "watch.json"])
def test_a_page_is_drawn_without_evidence_that_is_damaged(
    tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    trial = tmp_path / "trials" / "0001-original"
    kept = tmp_path / "findings" / "fixed-ipv4-init_failed"
    for evidence in (trial, kept):
        evidence.mkdir(parents=True)
        make(evidence / name)
    if name != "schedule.txt":
        (kept / "schedule.txt").write_text("s1 k7 s* k*\n")
    (tmp_path / "trials.jsonl").write_text(json.dumps(TRIAL) + "\n")
    views.draw(stored(tmp_path, RUN))
    drawn = (tmp_path / page.NAME).read_text()
    assert "fixed, ipv4: init_failed" in drawn
    assert "trial 1, original: init_failed" in drawn


@pytest.mark.parametrize(
    "commands",
    [
        None,
        3,
        [3],
        [{"started": 1.0}],
        [{"actor": "script", "program": 3, "arguments": ["-F"], "started": 1.0}],
        [{"actor": "script", "program": "iptables", "arguments": None, "started": 1.0}],
        [{"actor": "script", "program": "iptables", "arguments": ["-F"], "started": "x"}],
        [{"actor": "script", "program": "iptables", "arguments": ["-F"], "started": float("nan")}],
    ],
)
def test_a_trial_whose_watch_is_strange_has_no_schedule(tmp_path: Path, commands: object) -> None:
    trial = tmp_path / "trials" / "0001-original"
    trial.mkdir(parents=True)
    (trial / "watch.json").write_text(json.dumps({"commands": commands}))
    (tmp_path / "trials.jsonl").write_text(json.dumps(TRIAL) + "\n")
    assert "the nearest schedule that can be replayed" not in page.draw(stored(tmp_path, RUN))


def test_a_verdict_that_is_a_link_is_refused_and_a_link_to_the_folder_is_not(
    tmp_path: Path,
) -> None:
    folder = stored(tmp_path / "run", RUN)
    (tmp_path / "latest").symlink_to(folder)
    assert verdict.read(tmp_path / "latest")
    (folder / "verdict.json").rename(tmp_path / "elsewhere.json")
    (folder / "verdict.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(UsageError, match="is a link"):
        verdict.read(folder)


@pytest.mark.parametrize("part", ["trials.jsonl", "exploration.json", "reboot.json"])
def test_a_part_of_a_run_that_is_a_link_is_not_judged(tmp_path: Path, part: str) -> None:
    folder = stored(tmp_path / "run", RUN)
    asked = {"name": "a", "script": "b", "evidence": ["exploration", "trials", "reboot"]}
    (folder / "scenario.json").write_text(json.dumps(asked))
    (tmp_path / "elsewhere").write_text("{}")
    (folder / part).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is a link"):
        judge_again(folder)


@pytest.mark.parametrize("link", ["", "findings", "findings/x", "findings/x/kubelet.log"])
def test_a_link_in_results_leads_nothing_into_the_page(tmp_path: Path, link: str) -> None:
    explored = {"scripts": {"x": EXPLORED}, "schema": 3, "kind": "exploration"}
    folder = stored(tmp_path / "run", {**RUN, **explored, "verdict": "harmful"})
    there = folder if not link else tmp_path / "secret"
    secret = there / "findings" / "x-ipv4-init_failed"
    secret.mkdir(parents=True)
    (secret / "schedule.txt").write_text("s1 k7 s* k*")
    (secret / "kubelet.log").write_text("a secret of iptables")
    if link:
        mine = folder / link.replace("findings/x", "findings/x-ipv4-init_failed")
        mine.parent.mkdir(parents=True, exist_ok=True)
        mine.symlink_to(there / mine.relative_to(folder))
    assert ("a secret" in page.draw(folder)) is not bool(link)


def test_findings_outside_a_folder_are_never_looked_at(tmp_path: Path) -> None:
    outside = tmp_path / "x-ipv4-init_failed"
    outside.mkdir()
    (outside / "schedule.txt").write_text("s1 k7 s* k*")
    (outside / "kubelet.log").write_text("a secret")
    (tmp_path / "run" / "findings").mkdir(parents=True)
    for name in ("../../x", "/x", "a\0b", "*"):
        scripts = {name: EXPLORED}
        document = {
            **RUN,
            "schema": 3,
            "kind": "exploration",
            "verdict": "harmful",
            "scripts": scripts,
        }
        assert "a secret" not in page.draw(stored(tmp_path / "run", document))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("offset", float("nan")),
        ("offset", float("inf")),
        ("offset", 1e308),
        ("number", 0),
        ("number", 10**400),
        ("seconds", {"first_step": float("inf")}),
        ("families", {"ipv4": 3}),
        ("families", {"ipv4": {"modes": ["banana"], "cause": "", "missing": []}}),
        ("families", {"ipv4": {"modes": ["healthy"], "cause": 3, "missing": []}}),
        ("families", {"ipv4": {"modes": ["healthy"], "cause": "", "missing": [3]}}),
    ],
)
def test_a_trial_with_a_value_that_cannot_be_is_no_trial(
    tmp_path: Path, field: str, value: object
) -> None:
    (tmp_path / "trials.jsonl").write_text(json.dumps({**TRIAL, field: value}) + "\n")
    with pytest.raises(UsageError, match=rf"trials\.jsonl:1 is not a trial: {field}"):
        read_trials(tmp_path)


def test_a_trial_is_sound_with_its_families_and_without(tmp_path: Path) -> None:
    lines = [json.dumps(one) for one in (TRIAL, {**TRIAL, "families": {}})]
    (tmp_path / "trials.jsonl").write_text("\n".join(lines) + "\n")
    with_families, without = read_trials(tmp_path)
    assert with_families.families["ipv4"].missing == ("x",)
    assert without.families == {}


def changed(path: str, value: object) -> dict[str, Any]:
    """A sound verdict, but for the value at a path (`exploration.graphs.0.family`)."""
    document = copy.deepcopy(RUN)
    *parents, last = path.split(".")
    at: Any = document
    for part in parents:
        at = at[int(part) if part.isdigit() else part]
    at[last] = value
    return document


CELLS = "exploration.graphs.0.map.cells"
NO_VERDICTS = [
    ("schema", 3),
    ("schema", "4"),
    ("kind", ["run"]),
    ("verdict", "banana"),
    ("verdict", None),
    ("reason", "half a letter: \ud800"),
    ("interrupted", 1),
    ("options", "--image"),
    ("lines", {"x": 3}),
    ("node", []),
    ("node.backend", 3),
    ("known_bad_lines", [{}]),
    ("scripts", {"original": ARM}),
    ("scripts.fixed.trials", -1),
    ("scripts.fixed.trials", 10**30),
    ("scripts.fixed.trials", 3),
    ("scripts.fixed.outcomes", {"banana": 2}),
    ("scripts.fixed.rate", float("nan")),
    ("scripts.fixed.rate_high", float("inf")),
    ("scripts.fixed.azure_npm", {"tried": 1, "failed": 2}),
    ("reboot.kubelet", {"ipv4": []}),
    ("reboot.verdict", "confirmed"),
    ("exploration.verdict", "banana"),
    ("exploration.graphs.0.family", "ipv5"),
    ("exploration.graphs.0.modes", {"healthy": -1}),
    ("exploration.graphs.0.map.kubelet", ["x"] * 10_001),
    ("exploration.graphs.0.map.script", []),
    ("exploration.graphs.0.map.script", ["x"] * 10_001),
    ("scenario.script", "x" * 1001),
    (CELLS, [{**CELL, "script": -1}]),
    (CELLS, [{**CELL, "script": 2}]),
    (CELLS, [{**CELL, "before": -1}]),
    (CELLS, [{**CELL, "until": 10**9}]),
    (CELLS, [{**CELL, "modes": []}]),
    (CELLS, [{**CELL, "modes": ["environment"]}]),
    ("exploration.findings", [{**FINDING, "monitor": {}}]),
    ("exploration.findings", [{**FINDING, "missing": None}]),
    ("exploration.findings", [{"family": "ipv4"}]),
]


@pytest.mark.parametrize(("path", "value"), NO_VERDICTS, ids=[path for path, _ in NO_VERDICTS])
def test_a_verdict_with_a_value_that_cannot_be_is_none(
    tmp_path: Path, path: str, value: object
) -> None:
    with pytest.raises(UsageError, match="is no verdict") as told:
        views.draw(stored(tmp_path, changed(path, value)))
    assert "\n" not in told.value.what
    assert [file.name for file in tmp_path.iterdir()] == ["verdict.json"]


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, "1" * 5000, "1e999", "NaN"])
def test_what_json_cannot_be_read_from_is_no_verdict(tmp_path: Path, text: str) -> None:
    (tmp_path / "verdict.json").write_text(text)
    with pytest.raises(UsageError, match="is no verdict"):
        verdict.read(tmp_path)


def test_a_run_of_before_maps_and_lines_is_still_drawn(tmp_path: Path) -> None:
    graph = {name: value for name, value in GRAPH.items() if name != "map"}
    views.draw(stored(tmp_path, changed("exploration.graphs", [graph])))
    assert "fixed, ipv4: init_failed" in (tmp_path / page.NAME).read_text()


@pytest.mark.parametrize(
    "make",
    [
        *ODD,
        lambda file: file.write_text(json.dumps({**RUN, "verdict": "banana"})),
        lambda file: file.write_text("[" * 200_000),
        lambda file: file.write_text("{"),
    ],
)
def test_a_damaged_neighbour_is_passed_over(tmp_path: Path, make: Callable[[Path], object]) -> None:
    good = stored(tmp_path / "2026-01-01", {**RUN, "verdict": "confirmed"})
    (tmp_path / "2026-01-02").mkdir()
    make(tmp_path / "2026-01-02" / "verdict.json")
    (tmp_path / "2026-01-03").write_text("no folder")
    assert last_good(stored(tmp_path / "2026-01-04", RUN)) == good


@pytest.mark.parametrize("name", ["a b.sh", "it's.sh", "$(reboot).sh", "a;b.sh", "`x`.sh"])
def test_a_replay_names_any_script_so_that_a_shell_takes_it(name: str) -> None:
    """Of results of earlier versions, which keep no script."""
    told = verdict.replay_of(RUN, Path("results/x"), name, "s1 k7 s* k*")
    assert told.startswith("./lab replay 's1 k7 s* k*' --script ")
    assert shlex.split(told) == ["./lab", "replay", "s1 k7 s* k*", "--script", name]
    odd = verdict.replay_of(RUN, Path("results/x"), "original", "k*'; reboot; '")
    assert shlex.split(odd) == ["./lab", "replay", "k*'; reboot; '"]


def test_a_map_that_no_page_has_room_for_is_left_out_and_said_to_be(tmp_path: Path) -> None:
    steps = 10_000
    cells = [{**CELL, "before": at, "until": at} for at in range(steps)]
    wide = {"kubelet": ["iptables -N A"] * steps, "script": ["iptables-save"], "cells": cells}
    views.draw(stored(tmp_path, changed("exploration.graphs.0.map", wide)))
    drawn = (tmp_path / page.NAME).read_text()
    assert "A page has no room for all of: fixed, ipv4" in drawn
    assert not (tmp_path / picture.NAME).exists()
    views.draw(stored(tmp_path, changed("exploration.graphs.0.map", None)))
    assert "A page has no room for all of: fixed, ipv4" in (tmp_path / page.NAME).read_text()
