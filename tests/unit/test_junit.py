"""junit.xml: what CI shows of a verdict."""

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from chainrace.judge.explored import EXIT_OF
from chainrace.report import junit


def document(verdict: str, exploration: str, reboot: str | None = None) -> dict[str, Any]:
    return {
        "kind": "run",
        "verdict": verdict,
        "reason": "so it came \x1b[31mout",
        "scenario": {"name": "outage", "script": "fixed"},
        "exploration": {"verdict": exploration, "reason": "by exploration"},
        "reboot": None if reboot is None else {"verdict": reboot, "reason": "over a reboot"},
    }


@pytest.mark.parametrize(
    ("given", "failures", "skipped", "tests"),
    [
        (document("confirmed", "harmless"), 0, 0, 2),
        (document("refuted", "harmful"), 2, 0, 2),
        (document("inconclusive", "unfinished", "harmless"), 0, 2, 3),
        (document("refuted", "harmless", "harmful"), 2, 0, 3),
    ],
)
def test_each_part_of_a_verdict_is_a_case(
    given: dict[str, Any], failures: int, skipped: int, tests: int
) -> None:
    root = ET.fromstring(junit.render(given))
    (suite,) = root
    assert suite.get("name") == "outage"
    assert [suite.get(name) for name in ("tests", "failures", "skipped")] == [
        str(tests),
        str(failures),
        str(skipped),
    ]
    assert len(suite.findall("testcase")) == tests
    assert len(list(root.iter("failure"))) == failures


def test_an_original_that_harms_is_no_failure_of_a_confirmed_exploration() -> None:
    scripts = {
        "original": {"verdict": "harmful", "reason": "it does"},
        "fixed": {"verdict": "harmless", "reason": "it does not"},
    }
    given = {"kind": "exploration", "verdict": "confirmed", "reason": "both", "scripts": scripts}
    root = ET.fromstring(junit.render(given))
    assert root[0].get("failures") == "0"
    unfinished = {**scripts, "fixed": {"verdict": "unfinished", "reason": "not yet"}}
    given = {**given, "verdict": "inconclusive", "scripts": unfinished}
    root = ET.fromstring(junit.render(given))
    assert [root[0].get(name) for name in ("failures", "skipped")] == ["0", "2"]


def test_one_script_that_harms_is_a_failure() -> None:
    scripts = {"original": {"verdict": "harmful", "reason": "it does"}}
    given = {"kind": "exploration", "verdict": "harmful", "reason": "so", "scripts": scripts}
    root = ET.fromstring(junit.render(given))
    assert root[0].get("failures") == "2"


def test_an_interrupted_run_is_an_error() -> None:
    given = {**document("inconclusive", "unfinished"), "interrupted": True}
    root = ET.fromstring(junit.render(given))
    assert root[0].get("errors") == "1"
    assert len(list(root.iter("error"))) == 1


@pytest.mark.parametrize("verdict", ["not proved", "not exercised"])
def test_what_did_not_show_what_it_was_run_for_is_an_error_and_never_passes(verdict: str) -> None:
    doubts = ["python3 changed ipv4/mangle by itself", "the script ended with 127"]
    scripts = {"mine.sh": {"verdict": verdict, "reason": "so", "doubts": doubts}}
    given = {"kind": "exploration", "verdict": verdict, "reason": "so", "scripts": scripts}
    suite = ET.fromstring(junit.render(given))[0]
    assert [suite.get(name) for name in ("tests", "failures", "errors")] == ["2", "0", "2"]
    assert all(case.find("error") is not None for case in suite.findall("testcase"))
    said = str(suite.findall("testcase")[1].findtext("system-out"))
    for doubt in doubts:
        assert f"not proved: {doubt}" in said


def test_a_bug_that_was_not_reproduced_is_skipped_and_so_is_its_original() -> None:
    scripts = {
        "original": {"verdict": "harmless", "reason": "it does nothing"},
        "fixed": {"verdict": "harmless", "reason": "it does nothing"},
    }
    given = {"kind": "exploration", "verdict": "not reproduced", "reason": "so", "scripts": scripts}
    suite = ET.fromstring(junit.render(given))[0]
    assert [suite.get(name) for name in ("tests", "failures", "skipped")] == ["3", "0", "2"]
    assert (
        ET.fromstring(junit.render(document("not reproduced", "harmless")))[0].get("skipped") == "1"
    )


@pytest.mark.parametrize("verdict", sorted(EXIT_OF))
def test_a_case_passes_exactly_where_the_command_ends_with_0(verdict: str) -> None:
    root = ET.fromstring(junit.render(document(verdict, "harmless")))
    case = root[0].findall("testcase")[0]
    passed = all(case.find(kind) is None for kind in ("failure", "skipped", "error"))
    assert passed == (EXIT_OF[verdict] == 0)
