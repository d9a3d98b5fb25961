import json
from collections.abc import Callable
from pathlib import Path

import pytest

from chainrace.errors import UsageError
from chainrace.race import outcome
from chainrace.race.trial import Seen
from chainrace.race.verdict import INCONCLUSIVE, decide
from chainrace.report.killed import conclude_killed
from chainrace.report.results import ResultsFolder, judge_again, write_verdict
from chainrace.report.trials import SAMPLE, Script, read_trials, record_of, timeline
from tests.unit.conftest import command, reference_of

Build = Callable[..., Seen]


@pytest.fixture
def folder(tmp_path: Path, seen: Build) -> ResultsFolder:
    made = ResultsFolder(tmp_path)
    judged = outcome.judge(reference_of(seen()), seen().ending)
    scripts: tuple[Script, Script] = ("original", "fixed")
    for number, script in enumerate(scripts, start=1):
        made.add(record_of(number, script, SAMPLE, 0.5, seen=seen(), outcome=judged))
    return made


def test_what_was_written_is_read_back(folder: ResultsFolder) -> None:
    first, second = read_trials(folder.path)
    assert (first.script, first.outcome, first.phase, first.offset) == (
        "original",
        "healthy",
        "sample",
        0.5,
    )
    assert second.number == 2


def test_latest_leads_to_the_newest_run(tmp_path: Path, folder: ResultsFolder) -> None:
    assert (tmp_path / "latest").resolve() == folder.path
    newer = ResultsFolder(tmp_path)
    assert newer.path != folder.path
    assert (tmp_path / "latest").resolve() == newer.path


def test_a_verdict_says_what_the_issue_asks_for(folder: ResultsFolder) -> None:
    verdict = decide(record.judged() for record in read_trials(folder.path))
    write_verdict(folder.path, verdict, {"kernel": "6.12"}, interrupted=False)
    document = json.loads((folder.path / "verdict.json").read_text())
    assert document["schema"] == 3
    assert document["verdict"] == "inconclusive"
    for script in ("original", "fixed"):
        arm = document["scripts"][script]
        assert arm["trials"] == 1
        assert arm["outcomes"] == {"healthy": 1}
        assert arm["rate_low"] <= arm["rate"] <= arm["rate_high"]
    assert document["node"] == {"kernel": "6.12"}


def test_a_stored_run_is_judged_again_to_the_same_word(folder: ResultsFolder) -> None:
    verdict = decide(record.judged() for record in read_trials(folder.path))
    write_verdict(folder.path, verdict, {}, interrupted=False)
    assert judge_again(folder.path) == verdict


def test_a_run_that_was_killed_is_judged_by_the_next_command_as_far_as_it_went(
    tmp_path: Path, folder: ResultsFolder
) -> None:
    folder.node({"kernel": "6.12", "backend": "nft"})
    said: list[str] = []
    conclude_killed(tmp_path, said.append)
    document = json.loads((folder.path / "verdict.json").read_text())
    assert document["interrupted"]
    assert document["verdict"] == INCONCLUSIVE
    assert document["node"]["kernel"] == "6.12"
    assert "interrupted" in (folder.path / "report.html").read_text()
    assert "had been killed" in said[0]
    conclude_killed(tmp_path, said.append)
    assert len(said) == 1


def test_a_killed_run_that_cannot_be_judged_keeps_no_other_from_it(
    tmp_path: Path, folder: ResultsFolder
) -> None:
    folder.node({})
    with (folder.path / "trials.jsonl").open("a") as file:
        file.write('{"number": 3, "scri')
    newer = ResultsFolder(tmp_path)
    newer.node({"kernel": "6.12"})
    said: list[str] = []
    conclude_killed(tmp_path, said.append)
    assert "cannot be judged" in said[0]
    assert not (folder.path / "verdict.json").exists()
    assert (newer.path / "verdict.json").exists()


@pytest.mark.parametrize("line", ["{", "[]", '{"number": 1}', '{"strange": 1}', "3"])
def test_a_line_that_is_no_trial_is_named(folder: ResultsFolder, line: str) -> None:
    with (folder.path / "trials.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UsageError, match=r"trials\.jsonl:3"):
        read_trials(folder.path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("outcome", "banana"), ("outcome", ["healthy"]), ("script", "third"), ("hit", "yes")],
)
def test_a_trial_with_a_strange_value_is_never_judged(
    folder: ResultsFolder, field: str, value: object
) -> None:
    file = folder.path / "trials.jsonl"
    first = json.loads(file.read_text().splitlines()[0])
    file.write_text(json.dumps({**first, field: value}) + "\n")
    with pytest.raises(UsageError, match=field):
        judge_again(folder.path)


def test_trials_that_are_no_text_are_refused(folder: ResultsFolder) -> None:
    (folder.path / "trials.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="is no text"):
        read_trials(folder.path)


def test_a_folder_without_trials_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_trials(tmp_path)


def test_the_timeline_has_a_line_for_each_process(seen: Build) -> None:
    lines = list(timeline(seen(commands=(command("script", "iptables-save", 0.25),))))
    assert len(lines) == 2
    assert lines[1].split() == ["0.250", "0.300", "0", "script", "iptables-save"]
