"""What an exploration leaves on disk and says on the terminal."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chainrace.cli import main
from chainrace.judge.explored import EXIT_OF, Explored, Healing
from chainrace.judge.outcome import FamilyOutcome, Outcome
from chainrace.judge.progress import Progress
from chainrace.judge.replayed import Replayed
from chainrace.judge.timeline import Happened
from chainrace.judge.verdict import CONFIRMED, REFUTED
from chainrace.model.mode import HEALTHY, INIT_FAILED
from chainrace.model.schedule import parse
from chainrace.model.trial import Ending
from chainrace.report import verdict
from chainrace.report.explored import ExplorationFolder, explored_json
from chainrace.report.results import Asked, ResultsFolder, doubts_in, judge_again
from chainrace.report.sidebyside import side_by_side
from chainrace.report.terminal import Terminal
from tests.unit.explorations import ORIGIN
from tests.unit.test_explored import BROKEN, DOUBTS, SOUND, finding

VIEW: Any = {
    "commands": [
        {"lane": "s", "actor": "script", "program": "iptables-save", "arguments": [], "code": 0},
        {
            "lane": "k",
            "actor": "kubelet",
            "program": "iptables",
            "arguments": ["-w", "5", "-C", "OUTPUT", "-j", "KUBE-FIREWALL"],
            "code": 1,
        },
        {
            "lane": "s",
            "actor": "iptables.service",
            "program": "iptables",
            "arguments": ["-X"],
            "code": 4,
        },
    ]
}


def test_a_timeline_shows_both_actors_side_by_side_with_their_exit_codes() -> None:
    heading, saves, checks, deletes = side_by_side(replayed())
    assert heading.split() == ["step", "subject", "script", "and", "what", "it", "starts"]
    assert saves.split() == ["s1", "iptables-save"]
    assert checks.split() == ["k1", "iptables", "-C", "OUTPUT", "-j", "KUBE-FIREWALL", "→", "1"]
    assert deletes.split() == ["s2", "[iptables.service]", "iptables", "-X", "→", "4"]
    assert saves.index("iptables-save") == deletes.index("[ip") == heading.index("script")


def test_it_names_both_where_two_subjects_are_beside_each_other() -> None:
    heading, *_ = side_by_side(replace(replayed(), sides=("kubelet", "docker")))
    assert heading.split() == ["step", "kubelet", "docker"]


def replayed() -> Replayed:
    failed = FamilyOutcome((INIT_FAILED,), "no chain", ("mangle :KUBE-IPTABLES-HINT",))
    outcome = Outcome({"ipv4": failed, "ipv6": FamilyOutcome((HEALTHY,))}, True, None)  # noqa: FBT003
    ending = Ending({"ipv4": "failed"}, ("a line",), {"ipv4": "*filter\n", "ipv4/legacy": "*nat\n"})
    deleted = Happened("s", "script", "iptables -X", 0, 0.25, 0.5, harms=True)
    return Replayed(parse("s1 k1 s* k*"), VIEW, ending, outcome, (deleted,))


def test_each_finding_leaves_its_evidence_in_a_folder_of_its_own(tmp_path: Path) -> None:
    folder = ExplorationFolder(tmp_path)
    found = finding("s1 k1 s* k*", INIT_FAILED)
    folder.keep("original", found, replayed())
    folder.keep("original", found, replayed())
    folders = sorted(path.name for path in (folder.path / "findings").iterdir())
    assert folders == ["original-ipv4-init_failed", "original-ipv4-init_failed.2"]
    one = folder.path / "findings" / folders[0]
    assert (one / "schedule.txt").read_text() == "s1 k1 s* k*\n"
    assert "[iptables.service] iptables -X" in (one / "timeline.txt").read_text()
    steps = json.loads((one / "steps.json").read_text())["steps"]
    assert [(step["command"], step["harms"]) for step in steps] == [("iptables -X", True)]
    assert (one / "rules-after.ipv4-legacy").read_text() == "*nat\n"
    assert json.loads((one / "outcome.json").read_text())["azure_npm_finds"] is None


def test_the_verdict_on_both_scripts_is_written_as_data(tmp_path: Path) -> None:
    folder = ExplorationFolder(tmp_path)
    folder.end_states(BROKEN)
    folder.conclude({"fixed": SOUND, "original": BROKEN}, {"kernel": "6.12"}, interrupted=False)
    written = json.loads((folder.path / "verdict.json").read_text())
    assert written["verdict"] == CONFIRMED
    assert written["scripts"]["original"]["shortest"] == {INIT_FAILED: "s1 k7 s* k*"}
    assert written["scripts"]["fixed"]["graphs"][0]["complete"]
    ends = json.loads((folder.path / "ends-original-ipv4.json").read_text())
    assert [end["schedule"] for end in ends] == ["s1 k7 s* k*", "k* s*"]


def test_the_terminal_says_what_was_found_and_what_it_means(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lost = FamilyOutcome((INIT_FAILED,), missing=("mangle :KUBE-IPTABLES-HINT",))
    healing = Healing(looked=False, seconds=60.0, left=lost)
    found = replace(finding("s1 k7 s* k*", INIT_FAILED), healing=healing)
    Terminal().explored(replace(BROKEN, findings=(found,), remark="it ends with code 3"))
    said = capsys.readouterr().out
    assert "init_failed: s1 k7 s* k*" in said
    assert "it ends with code 3" in said
    assert "does not run for this family" in said
    assert "finds no chain, and crashloops" in said
    assert "the same end in 3 of 3" in said


def test_without_a_terminal_the_report_alone_is_on_standard_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal = Terminal()
    terminal.exploring(Progress("ipv4", 49, 1, 49, 1.0, 60.0, ("hint_lost",)))
    with terminal.step("exploring"):
        terminal.note("ipv4, every order of its steps")
    terminal.say("hint_lost: s1 k*")
    said = capsys.readouterr()
    assert said.out == "hint_lost: s1 k*\n"
    assert said.err.splitlines() == [
        "… exploring",
        "ipv4, every order of its steps",
        "✓ exploring (0 s)",
    ]


def test_a_stored_run_is_judged_again_with_what_force_said(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path, Asked(evidence=("exploration", "trials")))
    harmful: Explored = replace(BROKEN, script="fixed")
    folder.exploration(harmful)
    assert explored_json(harmful)["verdict"] == "harmful"
    assert judge_again(folder.path).verdict == REFUTED


def test_a_script_of_ones_own_is_called_by_its_name(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path, Asked(script="save.sh", evidence=("exploration",)))
    folder.exploration(replace(BROKEN, script="save.sh"))
    assert judge_again(folder.path).reason.startswith("save.sh, explored exhaustively: ")


def test_nothing_that_a_node_says_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().known_bad_lines(
        [{"node": "node1", "means": "a crash", "times": 1, "first": "\x1b[2J\x1b]0;x\x07 [bold]"}]
    )
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "[bold]" in said


def test_the_terminal_says_every_doubt_and_what_the_script_does_to_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    alone = "takes away ipv4 filter -A INPUT -i lo -j ACCEPT"
    Terminal().explored(replace(SOUND, doubts=DOUBTS, alone=(alone,), unexercised="it waits"))
    said = capsys.readouterr().out
    for line in (*(f"not proved: {doubt}" for doubt in DOUBTS), alone, "not exercised: it waits"):
        assert f"{line}\n" in said


@pytest.mark.parametrize("verdict", sorted(EXIT_OF))
def test_the_terminal_knows_every_word_and_says_it_once(
    verdict: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Terminal().closing(verdict, f"{verdict}: so it is", "results/x")
    assert f"{verdict}: so it is\n" in capsys.readouterr().out.replace(
        f"{verdict}: {verdict}", "twice"
    )


def test_the_terminal_says_how_each_finding_is_run_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = ExplorationFolder(tmp_path)
    folder.made_by(ORIGIN)
    folder.conclude({"fixed": SOUND, "original": BROKEN}, {}, interrupted=False)
    document = verdict.read(folder.path)
    findings = verdict.findings_in(document)
    commands = [verdict.again(document, folder.path, one) for one in findings]
    Terminal().findings(findings, commands)
    said = capsys.readouterr().out
    assert "finding 1: original, ipv4: init_failed (s1 k7 s* k*)" in said
    assert f"./lab replay --from {folder.path.resolve()} 1" in said


def test_judge_says_every_doubt_of_a_run_and_of_an_exploration(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    doubted = replace(SOUND, script="mine.sh", doubts=DOUBTS)
    run = ResultsFolder(tmp_path, Asked("a", "mine.sh", ("exploration",)))
    run.exploration(doubted)
    exploration = ExplorationFolder(tmp_path)
    exploration.conclude({"mine.sh": doubted}, {}, interrupted=False)
    for folder in (run.path, exploration.path):
        assert doubts_in(folder) == {"mine.sh": list(DOUBTS)}
        monkeypatch.setattr("sys.argv", ["lab", "judge", str(folder)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 3
        said = capsys.readouterr().out
        for doubt in DOUBTS:
            assert f"  not proved: {doubt}\n" in said
