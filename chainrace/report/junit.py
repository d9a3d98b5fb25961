"""junit.xml: each part of a verdict as a test case, for CI's own views."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from xml.etree import ElementTree as ET

from chainrace.base.text import clean, told
from chainrace.judge.explored import HARMFUL, HARMLESS, UNFINISHED
from chainrace.judge.exposure import NOT_EXPOSED
from chainrace.judge.verdict import (
    CONFIRMED,
    INCONCLUSIVE,
    NOT_REPRODUCED,
    REFUTED,
)
from chainrace.report.verdict import explored_in, reproduces

NAME = "junit.xml"
PASSED = frozenset({CONFIRMED, HARMLESS, NOT_EXPOSED})
FAILED = frozenset({REFUTED, HARMFUL})
# Nothing is shown yet, and nothing is broken: CI tells it from a pass.
SKIPPED = frozenset({INCONCLUSIVE, UNFINISHED, NOT_REPRODUCED})


@dataclass(frozen=True)
class Case:
    """One test case. `failed`, `skipped`, `broken` have why; all of them empty: it passed."""

    name: str
    said: str
    failed: str = ""
    skipped: str = ""
    broken: str = ""


def render(document: Mapping[str, Any]) -> bytes:
    """A verdict's junit.xml. Source of the format: pytest's own junitxml.py."""
    name = clean(_name(document))
    cases = list(_cases(document))
    if document.get("interrupted"):
        why = "the run was cut off before its end"
        cases.insert(0, Case("run", why, broken=why))
    suite = ET.Element(
        "testsuite",
        name=name,
        tests=str(len(cases)),
        failures=str(sum(bool(case.failed) for case in cases)),
        skipped=str(sum(bool(case.skipped) for case in cases)),
        errors=str(sum(bool(case.broken) for case in cases)),
    )
    for case in cases:
        element = ET.SubElement(
            suite, "testcase", classname=f"chainrace.{name}", name=clean(case.name)
        )
        results = {"failure": case.failed, "skipped": case.skipped, "error": case.broken}
        for result, why in results.items():
            if why:
                ET.SubElement(element, result, message=clean(why))
        ET.SubElement(element, "system-out").text = clean(case.said)
    whole = ET.Element("testsuites")
    whole.append(suite)
    data: bytes = ET.tostring(whole, encoding="utf-8", xml_declaration=True)
    return data


def _name(document: Mapping[str, Any]) -> str:
    return str(document["scenario"]["name"]) if document["kind"] == "run" else "explore"


def _cases(document: Mapping[str, Any]) -> Iterator[Case]:
    yield _case("verdict", document["verdict"], document["reason"])
    for script, explored in explored_in(document).items():
        case = _case(
            f"exploration: {script}", _stands(document, script, explored), explored["reason"]
        )
        doubts = (f"not proved: {doubt}" for doubt in explored.get("doubts", ()))
        yield replace(case, said="\n".join((case.said, *doubts)))
    if cluster := document.get("cluster"):
        yield _case("cluster", cluster["verdict"], cluster["reason"])
    if reboot := document.get("reboot"):
        yield _case("reboot", reboot["verdict"], reboot["reason"])


def _stands(document: Mapping[str, Any], script: str, explored: Mapping[str, Any]) -> str:
    """A script's verdict, as far as it is a success or a failure of what was to be shown."""
    verdict = str(explored["verdict"])
    if not reproduces(document, script):
        return verdict
    return {HARMFUL: CONFIRMED, HARMLESS: NOT_REPRODUCED}.get(verdict, verdict)


def _case(name: str, verdict: str, reason: str) -> Case:
    said = told(verdict, reason)
    if verdict in PASSED:
        return Case(name, said)
    if verdict in FAILED:
        return Case(name, said, failed=said)
    if verdict in SKIPPED:
        return Case(name, said, skipped=said)
    # Not proved, not exercised: it did not show what it was run for, and more time mends nothing.
    return Case(name, said, broken=said)
