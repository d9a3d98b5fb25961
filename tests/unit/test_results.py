import json
import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from chainrace.base.errors import LabError, UsageError
from chainrace.judge import outcome
from chainrace.judge.verdict import CONFIRMED, INCONCLUSIVE, decide
from chainrace.model.trial import Seen
from chainrace.report.folder import lead_latest_to
from chainrace.report.killed import conclude_killed
from chainrace.report.results import ResultsFolder, judge_again, write_verdict
from chainrace.report.trials import SAMPLE, Script, read_trials, record_of, timeline
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET
from tests.unit.conftest import command, reference_of

Build = Callable[..., Seen]


@pytest.fixture
def folder(tmp_path: Path, seen: Build) -> ResultsFolder:
    made = ResultsFolder(tmp_path)
    judged = outcome.judge(KUBELET, reference_of(seen()), seen().ending)
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


def latest(tmp_path: Path) -> str | None:
    link = tmp_path / "latest"
    return link.readlink().name if link.is_symlink() else None


def test_latest_never_names_a_run_that_is_under_way(tmp_path: Path) -> None:
    with ResultsFolder(tmp_path) as first:
        assert latest(tmp_path) is None
    assert latest(tmp_path) == first.path.name
    with ResultsFolder(tmp_path) as second:
        assert second.path != first.path
        assert latest(tmp_path) == first.path.name
    assert latest(tmp_path) == second.path.name


@pytest.mark.parametrize("ends", [KeyboardInterrupt, LabError("the node is gone", "look")])
@pytest.mark.parametrize("judged", [True, False])
def test_of_what_ended_early_latest_names_what_has_a_verdict(
    tmp_path: Path, ends: type[BaseException] | BaseException, *, judged: bool
) -> None:
    with ResultsFolder(tmp_path) as before:
        pass
    cut = ResultsFolder(tmp_path)
    if judged:
        (cut.path / "verdict.json").write_text("{}")
    with pytest.raises((KeyboardInterrupt, LabError)), cut:
        raise ends
    assert latest(tmp_path) == (cut if judged else before).path.name


def test_what_ended_a_run_is_told_where_latest_cannot_be_made_then(tmp_path: Path) -> None:
    cut = ResultsFolder(tmp_path)
    (cut.path / "verdict.json").write_text("{}")
    (tmp_path / "latest").mkdir()
    with pytest.raises(KeyboardInterrupt), cut:
        raise KeyboardInterrupt


def test_two_commands_that_end_at_once_leave_a_link_that_leads_to_one_of_them(
    tmp_path: Path,
) -> None:
    folders = [ResultsFolder(tmp_path) for _ in range(3)]
    lead_latest_to(folders[0].path)

    def lead(folder: Path) -> None:
        for _ in range(500):
            lead_latest_to(folder)

    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=lead, args=(one.path,)) for one in folders]
    for child in children:
        child.start()
    seen = set()
    while any(child.is_alive() for child in children):
        seen.add(latest(tmp_path))
    assert {child.exitcode for child in children} == {0}
    assert seen | {latest(tmp_path)} <= {one.path.name for one in folders}
    assert {one.name for one in tmp_path.iterdir()} == {
        "latest",
        *(one.path.name for one in folders),
    }


def test_a_verdict_says_what_the_issue_asks_for(folder: ResultsFolder) -> None:
    verdict = decide(record.judged() for record in read_trials(folder.path))
    write_verdict(folder.path, verdict, {"kernel": "6.12"}, interrupted=False)
    document = json.loads((folder.path / "verdict.json").read_text())
    assert document["schema"] == 4
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
    assert latest(tmp_path) == folder.path.name
    conclude_killed(tmp_path, said.append)
    assert len(said) == 1


def test_a_killed_run_is_no_later_one_than_what_came_after_it(
    tmp_path: Path, folder: ResultsFolder
) -> None:
    folder.node({"kernel": "6.12"})
    with ResultsFolder(tmp_path) as newer:
        pass
    conclude_killed(tmp_path, print)
    assert (folder.path / "verdict.json").exists()
    assert latest(tmp_path) == newer.path.name


HALVES = ['{"number": 3, "scri', "{", '{"number": 3}', "\x00", " ", "{} \u2028"]


@pytest.mark.parametrize("half", HALVES)
def test_a_run_that_was_killed_while_it_wrote_a_trial_is_judged_without_that_trial(
    tmp_path: Path, folder: ResultsFolder, half: str
) -> None:
    folder.node({"kernel": "6.12"})
    with (folder.path / "trials.jsonl").open("a") as file:
        file.write(half)
    assert [one.number for one in read_trials(folder.path)] == [1, 2]
    assert judge_again(folder.path).verdict == INCONCLUSIVE
    said: list[str] = []
    conclude_killed(tmp_path, said.append)
    document = json.loads((folder.path / "verdict.json").read_text())
    assert document["verdict"] == INCONCLUSIVE
    assert document["scripts"]["fixed"]["trials"] == 1
    assert "report.html was not drawn" not in "".join(said)
    assert "interrupted" in (folder.path / "report.html").read_text()


def test_a_run_that_lost_the_end_of_its_last_trial_confirms_nothing(
    tmp_path: Path, seen: Build
) -> None:
    made = ResultsFolder(tmp_path)
    healthy = outcome.judge(KUBELET, reference_of(seen()), seen().ending)
    for number in range(1, 21):
        script: Script = "original" if number % 2 else "fixed"
        one = record_of(number, script, SAMPLE, 0.5, seen=seen(), outcome=healthy)
        broken = replace(one, outcome="init_failed", signature=True, azure_npm=False)
        made.add(broken if script == "original" else one)
    made.all_trials(20)
    assert judge_again(made.path).verdict == CONFIRMED
    file = made.path / "trials.jsonl"
    file.write_text(file.read_text()[:-1])
    cut = judge_again(made.path)
    assert cut.verdict == INCONCLUSIVE
    assert "cut off" in cut.reason


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
    (folder.path / "trials.jsonl").write_bytes(b"\xff\xfe\n")
    with pytest.raises(UsageError, match=r"trials\.jsonl:1 is not a trial"):
        read_trials(folder.path)


def test_a_folder_without_trials_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_trials(tmp_path)


def test_the_timeline_has_a_line_for_each_process(seen: Build) -> None:
    lines = list(timeline(seen(commands=(command("script", "iptables-save", 0.25),))))
    assert len(lines) == 2
    assert lines[1].split() == ["0.250", "0.300", "0", "script", "iptables-save"]
