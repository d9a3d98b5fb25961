"""What went wrong, by failure mode: the original's is expected, everything else is a failure."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from chainrace.model.mode import ENVIRONMENT, INIT_FAILED, RULES_LOST
from chainrace.report import failures, page, verdict
from chainrace.report.failures import MOST_SHOWN, Failures
from chainrace.report.trials import read_trials
from chainrace.subjects.kubelet.modes import CANARY_LOST, GUARD_OPEN, HINT_LOST
from tests.unit.test_damaged_results import ARM, EXPLORED, FINDING, RUN, TRIAL, stored

CONFIRMED = {**RUN, "verdict": "confirmed"}
SOUND = {**EXPLORED, "verdict": "harmless", "findings": []}


def found(schedule: str, *modes: str, same: int = 3) -> dict[str, Any]:
    return {
        **FINDING,
        "modes": list(modes),
        "schedule": schedule,
        "replays_with_the_same_end": same,
    }


def tried(folder: Path, *outcomes: tuple[str, str], flushes: int = 0) -> None:
    """Trials, each of a script with an outcome; kubelet made so many steps before the flush."""
    lines = []
    for number, (script, outcome) in enumerate(outcomes, start=1):
        families = {"ipv4": {"modes": [outcome], "cause": "", "missing": []}}
        known = {} if outcome == ENVIRONMENT else families
        one = {**TRIAL, "number": number, "script": script, "outcome": outcome, "families": known}
        lines.append(json.dumps(one))
        evidence = folder / "trials" / f"{number:04d}-{script}"
        evidence.mkdir(parents=True)
        kubelet = [("kubelet", ["-N"], at / 10) for at in range(flushes + number)]
        script_ = [("script", ["-S"], 0.0), ("script", ["-F"], float(number + flushes))]
        commands = [
            {"actor": actor, "program": "iptables", "arguments": words, "started": at}
            for actor, words, at in (*kubelet, *script_)
        ]
        (evidence / "watch.json").write_text(json.dumps({"commands": commands}))
    (folder / "trials.jsonl").write_text("\n".join(lines) + "\n")


def read(folder: Path) -> Failures:
    records = read_trials(folder) if (folder / "trials.jsonl").exists() else []
    return failures.read(folder, verdict.read(folder), records)


def test_each_failure_mode_has_its_shortest_schedule(tmp_path: Path) -> None:
    findings = [
        found("k5 s3 k1 s* k*", RULES_LOST),
        found("s4 k6 s* k*", INIT_FAILED, HINT_LOST),
        found("s3 k* s*", RULES_LOST, HINT_LOST, CANARY_LOST),
        found("k4 s33 k* s*", INIT_FAILED),
    ]
    explored = {**EXPLORED, "findings": findings}
    modes = read(stored(tmp_path, {**RUN, "exploration": explored})).unexpected
    assert {one.name: one.shortest.schedule for one in modes} == {
        INIT_FAILED: "s4 k6 s* k*",
        RULES_LOST: "s3 k* s*",
        HINT_LOST: "s3 k* s*",
        CANARY_LOST: "s3 k* s*",
    }
    shown = {one.name: [failure.anchor for failure in one.shown] for one in modes}
    assert shown == {
        INIT_FAILED: ["finding-2", "finding-4"],
        RULES_LOST: ["finding-3", "finding-1"],
        HINT_LOST: [],
        CANARY_LOST: [],
    }
    assert modes[0].counted == ("2 findings",)


def test_a_finding_that_did_not_come_out_the_same_is_never_the_shortest(tmp_path: Path) -> None:
    findings = [found("s1 k* s*", GUARD_OPEN, same=2), found("s1 k2 s* k*", GUARD_OPEN)]
    folder = stored(tmp_path, {**RUN, "exploration": {**EXPLORED, "findings": findings}})
    (mode,) = read(folder).unexpected
    assert mode.shortest.anchor == "finding-2"
    assert len(mode.shown) == 2


def test_the_originals_trials_are_one_group_for_each_failure_mode(tmp_path: Path) -> None:
    folder = stored(tmp_path, {**CONFIRMED, "exploration": SOUND})
    outcomes = [INIT_FAILED] * 20 + [RULES_LOST] * 4 + ["healthy"]
    tried(folder, *(("original", one) for one in outcomes), ("fixed", "healthy"))
    all_of_it = read(folder)
    assert all_of_it.unexpected == ()
    assert [(one.name, one.counted) for one in all_of_it.expected] == [
        (INIT_FAILED, ("seen in 20 of 25 trials",)),
        (RULES_LOST, ("seen in 4 of 25 trials",)),
    ]
    (first, other) = all_of_it.expected
    assert [one.anchor for one in first.shown] == [first.shortest.anchor] == ["trial-1"]
    assert (first.more, other.more) == (19, 3)
    text = page.draw(folder)
    assert text.count('<details class="failure"') == 2
    assert "Failures" not in "".join(re.findall("<h2.*</h2>", text))
    assert "19 more of init_failed lie in the results folder." in text


def test_a_failure_of_the_fix_stays_a_failure_beside_the_originals(tmp_path: Path) -> None:
    folder = stored(tmp_path, {**RUN, "verdict": "refuted", "exploration": SOUND})
    tried(folder, ("original", INIT_FAILED), ("fixed", INIT_FAILED), ("fixed", HINT_LOST))
    all_of_it = read(folder)
    assert [one.name for one in all_of_it.unexpected] == [INIT_FAILED, HINT_LOST]
    assert [one.name for one in all_of_it.expected] == [INIT_FAILED]
    headings = re.findall("<h2[^>]*>(.*)</h2>", page.draw(folder))
    assert headings.index("Failure modes") < headings.index("How the original fails, as expected")
    assert headings.index("Failures") < headings.index("How the original fails: the evidence")


def test_a_users_script_that_is_called_original_is_a_failure(tmp_path: Path) -> None:
    explored = {"schema": 3, "kind": "exploration", "scripts": {"original": EXPLORED}}
    all_of_it = read(stored(tmp_path, {**RUN, **explored, "verdict": "harmful"}))
    assert [one.name for one in all_of_it.unexpected] == [INIT_FAILED]
    assert all_of_it.expected == ()


def test_trials_of_the_search_are_said_to_be_counted(tmp_path: Path) -> None:
    folder = stored(tmp_path, {**CONFIRMED, "exploration": SOUND})
    tried(folder, ("original", INIT_FAILED))
    file = folder / "trials.jsonl"
    file.write_text(file.read_text().replace('"sample"', '"search"'))
    (mode,) = read(folder).expected
    assert mode.counted == ("seen in 1 of 1 trials, the search too",)


def test_a_trial_that_the_environment_broke_is_no_failure_mode(tmp_path: Path) -> None:
    folder = stored(tmp_path, {**RUN, "exploration": SOUND})
    tried(folder, *[("original", ENVIRONMENT)] * 3, *[("fixed", ENVIRONMENT)] * MOST_SHOWN)
    all_of_it = read(folder)
    assert (all_of_it.unexpected, all_of_it.expected) == ((), ())
    assert (len(all_of_it.broken), all_of_it.more_broken) == (MOST_SHOWN, 3)
    text = page.draw(folder)
    assert "Trials that the environment broke" in text
    assert "3 more lie in the results folder." in text


def test_of_very_many_failures_a_page_shows_some_and_the_shortest_of_each(tmp_path: Path) -> None:
    findings = [found(f"s1 k{at} s* k*", RULES_LOST) for at in range(1, 40)]
    findings.append(found("s1 k9 s1 k9 s1 k9 s* k*", RULES_LOST, HINT_LOST))
    folder = stored(tmp_path, {**RUN, "exploration": {**EXPLORED, "findings": findings}})
    rules, hint = read(folder).unexpected
    assert len(rules.shown) == MOST_SHOWN + 1
    assert rules.more == len(findings) - MOST_SHOWN - 1
    assert rules.shown[0].schedule == "s1 k1 s* k*"
    assert hint.shortest in rules.shown
    assert "27 more of rules_lost lie in the results folder." in page.draw(folder)


@pytest.mark.parametrize("schedule", ["", "banana", "s*", "k" * 5000, "<b>", "s1 s1"])
def test_a_schedule_that_is_none_is_the_longest(tmp_path: Path, schedule: str) -> None:
    findings = [found(schedule, RULES_LOST), found("s1 k9 s1 k9 s* k*", RULES_LOST)]
    folder = stored(tmp_path, {**RUN, "exploration": {**EXPLORED, "findings": findings}})
    (mode,) = read(folder).unexpected
    assert mode.shortest.anchor == ("finding-1" if schedule == "s*" else "finding-2")
    assert "<b>" not in page.draw(folder).replace("<b>✕", "").replace("<b>!", "")


def test_a_run_without_any_failure_has_none_of_its_sections(tmp_path: Path) -> None:
    arms = {"original": ARM, "fixed": ARM}
    folder = stored(tmp_path, {**RUN, "exploration": SOUND, "scripts": arms})
    headings = re.findall("<h2[^>]*>(.*)</h2>", page.draw(folder))
    assert not [one for one in headings if "ail" in one]
