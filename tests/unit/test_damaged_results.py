"""Damaged results folders: one clear line, or a page without the part; never a hang."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from chainrace.errors import LabError
from chainrace.report import junit, page, picture, views

CELL = {"before": 0, "script": 1, "until": 1, "schedule": "s1 k1 s* k*", "classes": ["healthy"]}
MAP = {"kubelet": ["iptables -N A"], "script": ["iptables-save"], "cells": [CELL]}
GRAPH = {"family": "ipv4", "classes": {"healthy": 1}, "map": MAP}
FINDING = {
    "family": "ipv4",
    "classes": ["init_failed"],
    "schedule": "s1 k7 s* k*",
    "missing": [],
    "azure_npm_finds": None,
    "end_states": 1,
    "replays": 3,
    "replays_that_ended_so": 3,
    "monitor": None,
}
EXPLORED = {"word": "harmful", "reason": "so", "graphs": [GRAPH], "findings": [FINDING]}
ARM = {
    "trials": 2,
    "outcomes": {"healthy": 2},
    "rate": 0.0,
    "rate_low": 0.0,
    "rate_high": 0.8,
    "azure_npm": {"tried": 1, "failed": 0},
}
RUN: dict[str, Any] = {
    "schema": 2,
    "kind": "run",
    "verdict": "inconclusive",
    "reason": "for the test",
    "interrupted": False,
    "scenario": {"name": "outage", "script": "fixed", "evidence": ["force", "chance"]},
    "scripts": {"original": ARM, "fixed": ARM},
    "force": EXPLORED,
    "reboot": {
        "word": "harmless",
        "reason": "all is back",
        "service": "active",
        "kubelet": {"ipv4": ["healthy"]},
    },
    "node": {"kernel": "6.12", "backend": "nft"},
    "complaints": [],
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
    assert "force: cd" in [case.get("name") for case in root[0]]
