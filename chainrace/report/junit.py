"""junit.xml: each part of a verdict as a test case, for CI's own views."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from chainrace.race.force import HARMFUL, UNFINISHED
from chainrace.race.verdict import CONFIRMED, FIXED, INCONCLUSIVE, ORIGINAL, REFUTED
from chainrace.report.text import clean
from chainrace.report.verdict import explored_in

NAME = "junit.xml"


@dataclass(frozen=True)
class Case:
    """One test case. `failed` and `skipped` have why; both empty: it passed."""

    name: str
    said: str
    failed: str = ""
    skipped: str = ""


def render(document: Mapping[str, Any]) -> bytes:
    """A verdict's junit.xml. Source of the format: pytest's own junitxml.py."""
    name = clean(_name(document))
    cases = list(_cases(document))
    suite = ET.Element(
        "testsuite",
        name=name,
        tests=str(len(cases) + bool(document.get("interrupted"))),
        failures=str(sum(bool(case.failed) for case in cases)),
        skipped=str(sum(bool(case.skipped) for case in cases)),
        errors=str(int(bool(document.get("interrupted")))),
    )
    if document.get("interrupted"):
        element = ET.SubElement(suite, "testcase", classname=f"chainrace.{name}", name="run")
        ET.SubElement(element, "error", message="the run was cut off before its end")
    for case in cases:
        element = ET.SubElement(
            suite, "testcase", classname=f"chainrace.{name}", name=clean(case.name)
        )
        if case.failed:
            ET.SubElement(element, "failure", message=clean(case.failed))
        if case.skipped:
            ET.SubElement(element, "skipped", message=clean(case.skipped))
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
        # That the original harms kubelet is what it is there to show, not a failure.
        beside = document["kind"] == "force" and {ORIGINAL, FIXED} == document["scripts"].keys()
        expected = beside and script == ORIGINAL and explored["word"] == HARMFUL
        word = CONFIRMED if expected else explored["word"]
        yield _case(f"force: {script}", word, explored["reason"])
    if reboot := document.get("reboot"):
        yield _case("reboot", reboot["word"], reboot["reason"])


def _case(name: str, word: str, reason: str) -> Case:
    said = f"{word}: {reason}"
    if word in (REFUTED, HARMFUL):
        return Case(name, said, failed=said)
    # Nothing is shown yet, and nothing is broken: CI tells it from a pass.
    if word in (INCONCLUSIVE, UNFINISHED):
        return Case(name, said, skipped=said)
    return Case(name, said)
