"""What an exploration leaves on disk and says on the terminal."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from chainrace.force.exploration import Progress
from chainrace.force.replay import Replayed
from chainrace.race.force import Explored, Healing
from chainrace.race.outcome import HEALTHY, INIT_FAILED, FamilyOutcome, Outcome
from chainrace.race.schedule import parse
from chainrace.race.trial import Ending
from chainrace.race.verdict import CONFIRMED, REFUTED
from chainrace.report.force import ForceFolder, explored_json
from chainrace.report.results import Asked, ResultsFolder, judge_again
from chainrace.report.sidebyside import side_by_side
from chainrace.report.terminal import Terminal
from tests.unit.test_force import BROKEN, SOUND, finding

VIEW = {
    "commands": [
        {"actor": "script", "program": "iptables-save", "arguments": [], "code": 0},
        {
            "actor": "kubelet",
            "program": "iptables",
            "arguments": ["-w", "5", "-C", "OUTPUT", "-j", "KUBE-FIREWALL"],
            "code": 1,
        },
        {"actor": "service stop", "program": "iptables", "arguments": ["-X"], "code": 4},
    ]
}


def test_a_timeline_shows_both_actors_side_by_side_with_their_exit_codes() -> None:
    heading, saves, checks, deletes = side_by_side(VIEW)
    assert heading.split() == ["step", "kubelet", "script", "and", "service"]
    assert saves.split() == ["s1", "iptables-save"]
    assert checks.split() == ["k1", "iptables", "-C", "OUTPUT", "-j", "KUBE-FIREWALL", "→", "1"]
    assert deletes.split() == ["s2", "[stop]", "iptables", "-X", "→", "4"]
    assert saves.index("iptables-save") == deletes.index("[stop]") == heading.index("script")


def replayed() -> Replayed:
    failed = FamilyOutcome((INIT_FAILED,), "no chain", ("mangle :KUBE-IPTABLES-HINT",))
    outcome = Outcome({"ipv4": failed, "ipv6": FamilyOutcome((HEALTHY,))}, True, None)  # noqa: FBT003
    ending = Ending({"ipv4": "failed"}, ("a line",), {"ipv4": "*filter\n", "ipv4/legacy": "*nat\n"})
    return Replayed(parse("s1 k1 s* k*"), VIEW, ending, outcome)


def test_each_finding_leaves_its_evidence_in_a_folder_of_its_own(tmp_path: Path) -> None:
    folder = ForceFolder(tmp_path)
    found = finding("s1 k1 s* k*", INIT_FAILED)
    folder.keep("original", found, replayed())
    folder.keep("original", found, replayed())
    folders = sorted(path.name for path in (folder.path / "findings").iterdir())
    assert folders == ["original-ipv4-init_failed", "original-ipv4-init_failed.2"]
    one = folder.path / "findings" / folders[0]
    assert (one / "schedule.txt").read_text() == "s1 k1 s* k*\n"
    assert "[stop] iptables -X" in (one / "timeline.txt").read_text()
    assert (one / "rules-after.ipv4-legacy").read_text() == "*nat\n"
    assert json.loads((one / "outcome.json").read_text())["azure_npm_finds"] is None


def test_the_verdict_on_both_scripts_is_written_as_data(tmp_path: Path) -> None:
    folder = ForceFolder(tmp_path)
    folder.end_states(BROKEN)
    folder.conclude({"fixed": SOUND, "original": BROKEN}, {"kernel": "6.12"}, interrupted=False)
    written = json.loads((folder.path / "verdict.json").read_text())
    assert written["verdict"] == CONFIRMED
    assert written["scripts"]["original"]["simplest"] == {INIT_FAILED: "s1 k7 s* k*"}
    assert written["scripts"]["fixed"]["graphs"][0]["complete"]
    ends = json.loads((folder.path / "ends-original-ipv4.json").read_text())
    assert [end["schedule"] for end in ends] == ["s1 k7 s* k*", "k* s*"]


def test_the_terminal_says_what_was_found_and_what_it_means(
    capsys: pytest.CaptureFixture[str],
) -> None:
    healing = Healing(looked=False, missing=("mangle :KUBE-IPTABLES-HINT",))
    found = replace(finding("s1 k7 s* k*", INIT_FAILED), healing=healing)
    Terminal().explored(replace(BROKEN, findings=(found,), remark="it ends with code 3"))
    said = capsys.readouterr().out
    assert "init_failed: s1 k7 s* k*" in said
    assert "it ends with code 3" in said
    assert "does not run for this family" in said
    assert "finds no chain, and crashloops" in said
    assert "ended so in 3 of 3" in said


def test_without_a_terminal_progress_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal = Terminal()
    for number in range(50):
        terminal.exploring(Progress("ipv4", number, 1, number, 1.0, 60.0))
    terminal.exploring(Progress("ipv4", 50, 0, 50, 1.0, 60.0))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "50 states found, 0 steps open" in lines[-1]


def test_a_stored_run_is_judged_again_with_what_force_said(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path, Asked(evidence=("force", "chance")))
    harmful: Explored = replace(BROKEN, script="fixed")
    folder.force(harmful)
    assert explored_json(harmful)["word"] == "harmful"
    assert judge_again(folder.path).word == REFUTED


def test_a_script_of_ones_own_is_called_by_its_name(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path, Asked(script="save.sh", evidence=("force",)))
    folder.force(replace(BROKEN, script="save.sh"))
    assert judge_again(folder.path).reason.startswith("save.sh, by force: ")


def test_nothing_that_a_node_says_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().complaints(
        [{"node": "node1", "means": "a crash", "times": 1, "first": "\x1b[2J\x1b]0;x\x07 [bold]"}]
    )
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "[bold]" in said
