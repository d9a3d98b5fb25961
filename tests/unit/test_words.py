"""What the page says of itself is what the documents say."""

import re
from typing import Any

import pytest

from chainrace.base.paths import REPOSITORY
from chainrace.judge.explored import EXIT_OF
from chainrace.judge.outcome import WORST_FIRST
from chainrace.model.mode import CHECK_FAILED, HEALTHY, INIT_FAILED, RULES_LOST
from chainrace.report.words import GLOSSARY, SAID_OF, consumer, covered, meaning, repaired
from tests.unit.test_damaged_results import ARM, EXPLORED, RUN, changed

DOCS = REPOSITORY / "docs"


def rows(name: str) -> list[list[str]]:
    """The cells of all tables of a document, as a reader sees them."""
    lines = (DOCS / name).read_text().replace("`", "").splitlines()
    return [[cell.strip() for cell in one.split("|")[1:-1]] for one in lines if one[:1] == "|"]


def test_every_failure_mode_has_a_sentence_and_its_document_begins_with_it() -> None:
    table = rows("outcomes.md")
    said = {cells[0]: cells[-1] for cells in table[: 2 + len(WORST_FIRST)]}
    assert WORST_FIRST[-1] == HEALTHY
    for name in WORST_FIRST[:-1]:
        sentence = meaning(name, "kubelet")
        assert sentence
        assert said[name].startswith(sentence)


def test_every_term_means_the_same_in_the_glossary() -> None:
    terms = {cells[0]: cells[1] for cells in rows("glossary.md")}
    for term, said in GLOSSARY.items():
        assert terms[term] == said


def test_a_page_says_what_its_verdict_covers() -> None:
    assert SAID_OF.keys() <= EXIT_OF.keys()
    both = covered(RUN)
    assert len(both) == 3
    assert re.search("inside one process", both[1])
    without = covered(changed("exploration", None))
    assert [one.split(" ")[0] for one in without] == ["Randomized"]
    untried: dict[str, Any] = {**ARM, "trials": 0}
    nothing = changed("scripts", {"original": untried, "fixed": untried})
    assert covered({**nothing, "exploration": None}) == []


@pytest.mark.parametrize("verdict", SAID_OF)
def test_only_what_is_harmless_is_said_to_be_covered_whole(verdict: str) -> None:
    (said, *_) = covered(changed("exploration", {**EXPLORED, "verdict": verdict}))
    assert said.startswith("Every order of whole processes") is (verdict == "harmless")


def test_of_another_subject_it_is_said_what_was_compared() -> None:
    about = {"name": "guard", "unit": "guard.service"}
    explored = {"verdict": "harmless"}
    document = {"kind": "exploration", "scripts": {"x": explored}, "made_by": {"subject": about}}
    assert any("Of guard it was compared" in said for said in covered(document))
    assert not any("it was compared" in said for said in covered({**document, "made_by": None}))


def test_a_failure_mode_of_another_subject_names_that() -> None:
    assert meaning(RULES_LOST, "kubelet").startswith("kubelet believes")
    assert meaning(RULES_LOST, "docker").startswith("docker started, but")
    assert meaning(INIT_FAILED, "docker") == "docker's start failed."
    assert "kubelet" not in meaning(CHECK_FAILED, "docker")
    assert meaning(HEALTHY, "docker") == ""


def test_who_repairs_what_is_said_by_what_was_watched_and_by_the_source() -> None:

    def kubelet(*, healed: bool, looked: bool) -> str:
        return repaired("kubelet", healed=healed, looked=looked, seconds=61.0)

    assert kubelet(healed=True, looked=True).endswith("at its next look")
    assert kubelet(healed=False, looked=True).endswith("did not repair it")
    assert "does not run" in kubelet(healed=False, looked=False)
    own = repaired("guard", healed=False, looked=False, seconds=90.0)
    assert own == "guard: did not repair it within 90 s"
    docker = repaired("docker", healed=False, looked=False, seconds=60.0)
    assert "by its source it makes its rules again when it starts" in docker


def test_a_consumer_is_told_of_the_subject_that_has_one() -> None:
    assert consumer("kubelet", None) == "azure-npm: finds no chain, and crashloops"
    assert consumer("kubelet", "mangle :X") == "azure-npm: finds mangle :X"
    assert consumer("docker", None) == consumer("guard", "") == ""
