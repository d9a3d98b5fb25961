"""What two runs have different, and what is only noise."""

import json
from pathlib import Path
from typing import Any

import pytest

from chainrace.base.errors import UsageError
from chainrace.report.comparison import Change, changes, last_good


def run(
    verdict: str = "confirmed", failed: int = 5, trials: int = 5, **node: str
) -> dict[str, Any]:
    npm = {"tried": trials, "failed": 0}
    outcomes = {"init_failed": failed, "healthy": trials - failed}
    rates = {"rate": 0.5, "rate_low": 0.1, "rate_high": 0.9}
    arm = {"trials": trials, "outcomes": outcomes, "azure_npm": npm, **rates}
    clean = {"trials": trials, "outcomes": {"healthy": trials}, "azure_npm": npm, **rates}
    graphs = [{"family": "ipv4", "modes": {"healthy": 9}}]
    return {
        "schema": 4,
        "kind": "run",
        "verdict": verdict,
        "reason": "for the test",
        "known_bad_lines": [],
        "interrupted": False,
        "scenario": {"name": "outage", "script": "fixed", "evidence": ["trials"]},
        "scripts": {"original": arm, "fixed": clean},
        "exploration": {"verdict": "harmless", "reason": "none", "graphs": graphs, "findings": []},
        "reboot": None,
        "node": {"kernel": "6.12.1", "seed": "7", **node},
    }


def store(folder: Path, name: str, document: dict[str, Any]) -> Path:
    (folder / name).mkdir()
    (folder / name / "verdict.json").write_text(json.dumps(document))
    return folder / name


def test_the_same_run_has_no_changes() -> None:
    assert changes(run(seed="1"), run(seed="2")) == []


def test_another_verdict_comes_first_and_matters() -> None:
    first, *_ = changes(run(), run("refuted"))
    assert first == Change("verdict", "confirmed", "refuted")
    assert first.matters


def test_a_rate_changes_only_beyond_noise() -> None:
    assert changes(run(failed=5), run(failed=4)) == []
    told = changes(run(failed=50, trials=50), run(failed=20, trials=50))
    assert [change.what.split(" (")[0] for change in told] == [
        "original, rate of healthy",
        "original, rate of init_failed",
    ]
    assert (told[1].before, told[1].after) == ("50 of 50", "20 of 50")


def test_of_an_exploration_every_new_class_counts() -> None:
    worse = run()
    worse["exploration"] = {
        "verdict": "harmful",
        "graphs": [{"family": "ipv4", "modes": {"healthy": 8, "hint_lost": 1}}],
    }
    assert [(change.what, change.after) for change in changes(run(), worse)] == [
        ("fixed, explored", "harmful"),
        ("fixed, end states of ipv4", "healthy, hint_lost"),
    ]


def doubted(*doubts: str) -> dict[str, Any]:
    exploration = {**run()["exploration"], "verdict": "not proved", "doubts": list(doubts)}
    return {**run("not proved"), "exploration": exploration}


def test_a_doubt_that_is_new_is_a_change_and_its_process_number_is_none() -> None:
    assert [(change.what, change.after) for change in changes(run(), doubted("a (pid 8)"))] == [
        ("verdict", "not proved"),
        ("fixed, explored", "not proved"),
        ("fixed, doubts", "a (pid)"),
    ]
    assert changes(doubted("a (pid 8)"), doubted("a (pid 12)")) == []
    (told,) = changes(doubted("a"), doubted("a", "b"))
    assert (told.what, told.before, told.after) == ("fixed, doubts", "a", "a; b")


def test_what_a_script_does_alone_and_why_it_was_not_exercised_are_compared() -> None:
    other = run()
    other["exploration"] = {
        **other["exploration"],
        "alone": ["takes away x"],
        "unexercised": "it waits",
    }
    assert [(change.what, change.after) for change in changes(run(), other)] == [
        ("fixed, not exercised", "it waits"),
        ("fixed, what it does alone", "takes away x"),
    ]


def test_evidence_that_is_not_taken_any_more_is_a_change() -> None:
    less = {**run(), "exploration": None}
    assert [(one.what, one.after) for one in changes(run(), less)] == [
        ("fixed, explored", "not looked at"),
        ("fixed, end states of ipv4", "not looked at"),
        ("fixed, end states of ipv6", "not looked at"),
    ]


def test_azure_npm_going_down_is_a_change() -> None:
    down = run()
    down["scripts"]["fixed"]["azure_npm"] = {"tried": 5, "failed": 5}
    (told,) = changes(run(), down)
    assert told.what.startswith("fixed, azure-npm down")


def test_a_boot_that_leaves_kubelet_or_the_service_otherwise_is_a_change() -> None:
    boot = {"verdict": "harmless", "service": "active", "kubelet": {"ipv4": ["healthy"]}}
    worse = {**boot, "service": "failed", "kubelet": {"ipv4": ["init_failed"]}}
    told = changes({**run(), "reboot": boot}, {**run(), "reboot": worse})
    assert [(one.what, one.after) for one in told] == [
        ("reboot, service", "failed"),
        ("reboot, kubelet", "ipv4 init_failed"),
    ]


def test_runs_with_different_backends_are_not_compared() -> None:
    with pytest.raises(UsageError, match="different things"):
        changes(run(backend="nft"), run(backend="legacy"))


def test_another_version_is_told_and_alone_does_not_matter() -> None:
    (told,) = changes(run(), run(kernel="6.12.2"))
    assert told == Change("kernel", "6.12.1", "6.12.2", matters=False)


def test_runs_of_different_scenarios_are_not_compared() -> None:
    other = {**run(), "scenario": {"name": "other", "script": "fixed"}}
    with pytest.raises(UsageError, match="different things"):
        changes(run(), other)


def test_the_last_good_run_is_the_newest_of_the_same_that_was_confirmed(tmp_path: Path) -> None:
    good = store(tmp_path, "2026-01-02", run())
    store(tmp_path, "2026-01-01", run())
    store(tmp_path, "2026-01-03", run("refuted"))
    store(tmp_path, "2026-01-04", {**run(), "interrupted": True})
    other = {"name": "other", "script": "fixed", "evidence": ["trials"]}
    store(tmp_path, "2026-01-05", {**run(), "scenario": other})
    store(tmp_path, "2026-01-06", {"kind": "of old"})
    (tmp_path / "2026-01-07").mkdir()
    mine = store(tmp_path, "2026-01-08", run())
    store(tmp_path, "2026-01-09", run())
    (tmp_path / "latest").symlink_to("2026-01-08")
    assert last_good(mine) == good
    assert last_good(tmp_path / "latest") == good
    with pytest.raises(UsageError, match="no good run before"):
        last_good(tmp_path / "2026-01-01")
