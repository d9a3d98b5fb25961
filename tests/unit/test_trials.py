"""The order of a run, with the node's answers made up: the agent is the process's edge."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from chainrace.base.errors import LabError
from chainrace.judge.verdict import CONFIRMED, INCONCLUSIVE, NOT_REPRODUCED, REFUTED, decide
from chainrace.model.protocol import Trial
from chainrace.node.agent import Agent
from chainrace.report.results import ResultsFolder, judge_again
from chainrace.report.trials import Progress, read_trials
from chainrace.run.trials import SCRIPTS_ON_NODE, Limits, TrialRun
from chainrace.settings.amount import Amount
from chainrace.subjects.kubelet.words import HINT
from tests.unit.conftest import STEPS

Answer = dict[str, Any]


class FakeAgent:
    """Answers trials from a made-up node; `asked` is which scripts it was asked to run."""

    def __init__(self, answer: Callable[[str | None], Answer]) -> None:
        self._answer = answer
        self.asked: list[str | None] = []
        self.offsets: list[float] = []

    def ask(self, request: Trial, *, timeout: float) -> Answer:
        assert timeout == 2 * request.limit
        self.asked.append(request.script)
        self.offsets.append(request.delay)
        return self._answer(request.script)


@pytest.fixture
def answers(
    clean_rules: dict[str, str], reference_rules: dict[str, str], sample: Callable[[str], str]
) -> dict[str, Answer]:
    """A healthy and a failed trial, and one whose environment broke."""

    def watch(ipv4: str, journal: list[str]) -> Answer:
        commands = [
            {
                "actor": "kubelet",
                "program": program,
                "arguments": words.split(),
                "started": at,
                "ended": at + 0.1,
                "code": 0,
                "pid": 1,
            }
            for program, words, at in STEPS
        ]
        return {
            "words": {"ipv4": ipv4, "ipv6": "initialised"},
            "journal": journal,
            "commands": commands,
            "started": -2.0,
            "first_step": 0.0,
            "script_started": 0.2,
            "script_ended": 3.0,
            "script_code": 0,
            "settled": 3.0,
        }

    phases = {"restore": 1.0, "race": 4.0, "rules": 0.5}
    healthy = {
        "error": None,
        "before": clean_rules,
        "after": reference_rules,
        "phases": phases,
        "azure_npm": {"code": 0, "log": ""},
        "watch": watch("initialised", []),
    }
    failed = {
        **healthy,
        "after": clean_rules,
        "azure_npm": {"code": 1, "log": "failed to start with err"},
        "watch": watch("failed", sample("kubelet-failed.log").splitlines()),
    }
    broken = {**healthy, "error": "kubelet ended with 255", "after": {}, "azure_npm": None}
    return {"healthy": healthy, "failed": failed, "broken": broken}


def make_run(tmp_path: Path, agent: FakeAgent, pairs: int) -> TrialRun:
    return TrialRun(
        agent=cast("Agent", agent),
        folder=ResultsFolder(tmp_path),
        console=tmp_path / "console.log",
        limits=Limits(Amount(pairs), trial_seconds=10, retries=2),
        tell=lambda _: None,
        seed=1,
        scripts=SCRIPTS_ON_NODE,
    )


def outage(answers: dict[str, Answer]) -> Callable[[str | None], Answer]:
    """A node on which the original always breaks kubelet, and nothing else does."""
    return lambda script: answers["failed" if script and "original" in script else "healthy"]


def test_a_host_too_slow_for_its_budget_makes_the_least_that_tells_anything(
    tmp_path: Path, answers: dict[str, Answer]
) -> None:
    run = make_run(tmp_path, FakeAgent(outage(answers)), pairs=0)
    run.limits = Limits(Amount(budget=1e-9, least=5), trial_seconds=10, retries=2)
    run.run(run.take_reference())
    assert sum(record.phase == "sample" for record in run.records) == 10
    assert decide(record.judged() for record in run.records).verdict == CONFIRMED


def test_a_node_that_dies_in_a_trial_leaves_a_broken_trial_and_its_last_words(
    tmp_path: Path, answers: dict[str, Answer]
) -> None:
    (tmp_path / "console.log").write_text("booted\n")

    def dies(script: str | None) -> Answer:
        if script is None:
            return answers["healthy"]
        (tmp_path / "console.log").write_text("booted\nKernel panic - not syncing\n")
        raise LabError("no answer", "see the console")

    run = make_run(tmp_path, FakeAgent(dies), pairs=1)
    reference = run.take_reference()
    with pytest.raises(LabError, match="no answer"):
        run.run(reference)
    (record,) = read_trials(run.folder.path)
    assert (record.outcome, record.error) == ("environment", "no answer")
    (trial,) = (run.folder.path / "trials").iterdir()
    assert (trial / "console.log").read_text() == "Kernel panic - not syncing\n"
    assert judge_again(run.folder.path).verdict == INCONCLUSIVE


def test_both_scripts_run_equally_often_at_the_same_offsets(
    tmp_path: Path, answers: dict[str, Answer]
) -> None:
    run = make_run(tmp_path, FakeAgent(outage(answers)), pairs=6)
    run.run(run.take_reference())
    sampled = [record for record in run.records if record.phase == "sample"]
    assert [record.script for record in sampled].count("original") == 6
    assert [record.script for record in sampled].count("fixed") == 6
    for first, second in zip(sampled[::2], sampled[1::2], strict=True):
        assert first.offset == second.offset
        assert {first.script, second.script} == {"original", "fixed"}
    verdict = decide(record.judged() for record in run.records)
    assert verdict.verdict == CONFIRMED
    assert (verdict.original.azure_npm_failed, verdict.fixed.azure_npm_failed) == (6, 0)


def test_a_broken_environment_is_tried_again_recorded_and_not_counted(
    tmp_path: Path, answers: dict[str, Answer]
) -> None:
    turns: Iterator[bool] = iter([False, True, True] + [False] * 99)

    def answer(script: str | None) -> Answer:
        return answers["broken"] if next(turns) else outage(answers)(script)

    run = make_run(tmp_path, FakeAgent(answer), pairs=1)
    run.run(run.take_reference())
    stored = read_trials(run.folder.path)
    assert [record.outcome for record in stored[:3]] == [
        "environment",
        "environment",
        "init_failed",
    ]
    assert stored[0].error == "kubelet ended with 255"
    verdict = decide(record.judged() for record in stored)
    assert verdict.environment == 2


def test_an_environment_that_stays_broken_ends_the_run_with_its_evidence(
    tmp_path: Path, answers: dict[str, Answer]
) -> None:
    agent = FakeAgent(lambda script: answers["broken" if script else "healthy"])
    run = make_run(tmp_path, agent, pairs=5)
    with pytest.raises(LabError, match="3 trials in a row broke: kubelet ended with 255"):
        run.run(run.take_reference())
    assert len(read_trials(run.folder.path)) == 3
    assert len(list((run.folder.path / "trials").iterdir())) == 3


def test_a_fix_that_does_not_run_never_counts_as_harmless(
    tmp_path: Path, answers: dict[str, Answer]
) -> None:
    dead = json.loads(json.dumps(answers["healthy"]))
    dead["watch"]["script_code"] = 127

    def answer(script: str | None) -> Answer:
        return dead if script and "fixed" in script else outage(answers)(script)

    run = make_run(tmp_path, FakeAgent(answer), pairs=5)
    with pytest.raises(LabError, match="the fixed script itself failed with code 127"):
        run.run(run.take_reference())
    assert decide(record.judged() for record in run.records).verdict == INCONCLUSIVE


def test_a_fix_that_is_to_end_with_another_code_counts_with_that(
    tmp_path: Path, answers: dict[str, Answer]
) -> None:
    odd = json.loads(json.dumps(answers["healthy"]))
    odd["watch"]["script_code"] = 2

    def answer(script: str | None) -> Answer:
        return odd if script and "fixed" in script else outage(answers)(script)

    run = make_run(tmp_path, FakeAgent(answer), pairs=5)
    run.expect = 2
    run.run(run.take_reference())
    assert decide(record.judged() for record in run.records).verdict == CONFIRMED


def test_no_name_that_a_node_gives_leads_out_of_the_results(
    tmp_path: Path, answers: dict[str, Answer]
) -> None:
    nasty = {**answers["healthy"], "after": {**answers["healthy"]["after"], "/../../../x": "!"}}
    run = make_run(tmp_path, FakeAgent(lambda _: nasty), pairs=1)
    run.take_reference()
    assert sorted(file.name for file in (run.folder.path / "reference").glob("rules-after*")) == [
        "rules-after.ipv4",
        "rules-after.ipv6",
    ]
    assert not list(tmp_path.rglob("x"))


def test_no_outcome_is_ever_tried_again(tmp_path: Path, answers: dict[str, Answer]) -> None:
    agent = FakeAgent(lambda script: answers["failed" if script else "healthy"])
    run = make_run(tmp_path, agent, pairs=2)
    run.run(run.take_reference())
    assert len(agent.asked) == 1 + len(run.records)
    assert decide(record.judged() for record in run.records).verdict == REFUTED


def test_a_node_on_which_kubelets_clean_start_fails_gives_no_reference(
    tmp_path: Path, answers: dict[str, Answer]
) -> None:
    run = make_run(tmp_path, FakeAgent(lambda _: answers["failed"]), pairs=1)
    with pytest.raises(LabError, match="no reference can be taken"):
        run.take_reference()
    broken = make_run(tmp_path, FakeAgent(lambda _: answers["broken"]), pairs=1)
    with pytest.raises(LabError, match="clean start failed: kubelet ended with 255"):
        broken.take_reference()
    assert "kubelet" in str(list((broken.folder.path / "reference").iterdir()))


def without_guard(rules: str) -> str:
    return "".join(line for line in rules.splitlines(keepends=True) if "KUBE-FIREWALL" not in line)


def blind(answer: Answer, chain: str) -> Answer:
    """The same answer of a gate that did not see whatever was done with a chain."""
    copied: Answer = json.loads(json.dumps(answer))
    commands = copied["watch"]["commands"]
    copied["watch"]["commands"] = [one for one in commands if chain not in one["arguments"]]
    return copied


def test_a_gate_that_misses_steps_of_the_clean_start_gives_no_reference(
    tmp_path: Path, answers: dict[str, Answer]
) -> None:
    run = make_run(tmp_path, FakeAgent(lambda _: blind(answers["healthy"], HINT)), pairs=1)
    with pytest.raises(LabError, match="not seen to make ipv4 mangle :KUBE-IPTABLES-HINT"):
        run.take_reference()


def test_a_healthy_trial_of_which_the_gate_missed_steps_never_counts(
    tmp_path: Path, answers: dict[str, Answer]
) -> None:
    def answer(script: str | None) -> Answer:
        missed = blind(answers["healthy"], HINT)
        return missed if script and "fixed" in script else outage(answers)(script)

    run = make_run(tmp_path, FakeAgent(answer), pairs=5)
    with pytest.raises(LabError, match="kubelet was not seen to run iptables -w 5 -N KUBE-IPTA"):
        run.run(run.take_reference())
    stored = read_trials(run.folder.path)
    fixed = [record.outcome for record in stored if record.script == "fixed"]
    assert set(fixed) == {"environment"}
    assert judge_again(run.folder.path).verdict == INCONCLUSIVE


@pytest.fixture
def confirmed(tmp_path: Path, answers: dict[str, Answer]) -> Path:
    """The folder of a run of trials that confirms."""
    run = make_run(tmp_path, FakeAgent(outage(answers)), pairs=6)
    run.run(run.take_reference())
    run.folder.all_trials(len(run.records))
    assert judge_again(run.folder.path).verdict == CONFIRMED
    return run.folder.path


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (lambda lines: lines[:-1], "cut off before its last trial"),
        (lambda lines: lines[1:], "trials are missing"),
        (lambda lines: lines[:4] + lines[5:], "trials are missing"),
        (lambda lines: [*lines, lines[-1]], "trials are missing"),
    ],
)
def test_a_run_of_which_trials_are_gone_is_never_confirmed(
    confirmed: Path, left: Callable[[list[str]], list[str]], told: str
) -> None:
    file = confirmed / "trials.jsonl"
    file.write_text("".join(left(file.read_text().splitlines(keepends=True))))
    verdict = judge_again(confirmed)
    assert verdict.verdict == INCONCLUSIVE
    assert told in verdict.reason


def test_a_run_that_was_stopped_when_it_looked_good_is_never_confirmed(confirmed: Path) -> None:
    (confirmed / "trials-end.json").unlink()
    assert judge_again(confirmed).verdict == INCONCLUSIVE
    assert "cut off" in judge_again(confirmed).reason


def test_a_run_that_was_stopped_when_the_original_held_says_nothing_of_the_bug(
    tmp_path: Path, answers: dict[str, Answer]
) -> None:
    """The original held, so far: five hits are soon waited for."""
    held = json.loads(json.dumps(answers["healthy"]))
    held["watch"]["commands"].append(
        {
            **held["watch"]["commands"][0],
            "actor": "service stop",
            "arguments": ["-X"],
            "started": 1.2,
        }
    )
    agent = FakeAgent(
        lambda script: held if script and "original" in script else answers["healthy"]
    )
    run = make_run(tmp_path, agent, pairs=6)
    run.run(run.take_reference())
    run.folder.all_trials(len(run.records))
    whole = judge_again(run.folder.path).verdict
    (run.folder.path / "trials-end.json").unlink()
    assert judge_again(run.folder.path).verdict == INCONCLUSIVE
    assert whole == NOT_REPRODUCED


def test_a_fix_that_harmed_once_is_refuted_however_the_run_ended(confirmed: Path) -> None:
    file = confirmed / "trials.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    fixed = next(line for line in lines if line["script"] == "fixed")
    fixed["outcome"] = "rules_lost"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines[:-1]))
    assert judge_again(confirmed).verdict == REFUTED


def test_a_kubelet_that_never_reaches_its_initialisation_is_no_outcome(
    tmp_path: Path, answers: dict[str, Answer]
) -> None:
    late = "the limit of 10 s passed; kubelet has not gone beyond its iptables initialisation"
    never = {**answers["broken"], "error": late}
    turns: Iterator[int] = iter(range(999))

    def answer(script: str | None) -> Answer:
        return never if next(turns) % 2 else outage(answers)(script)

    run = make_run(tmp_path, FakeAgent(answer), pairs=6)
    run.run(run.take_reference())
    broken = [record for record in run.records if record.outcome == "environment"]
    assert broken
    assert {record.error for record in broken} == {late}
    verdict = decide(record.judged() for record in run.records)
    assert verdict.original.trials == verdict.fixed.trials == 6
    assert verdict.environment == len(broken)


def test_a_kubelet_without_the_guard_cannot_be_raced(
    tmp_path: Path, answers: dict[str, Answer]
) -> None:
    bare = json.loads(json.dumps(answers["healthy"]))
    commands = bare["watch"]["commands"]
    bare["watch"]["commands"] = [one for one in commands if "KUBE-FIREWALL" not in one["arguments"]]
    bare["after"] = {family: without_guard(text) for family, text in bare["after"].items()}
    run = make_run(tmp_path, FakeAgent(lambda _: bare), pairs=1)
    with pytest.raises(LabError, match="builds no KUBE-FIREWALL"):
        run.run(run.take_reference())


def test_an_interruption_keeps_every_trial_that_ended(
    tmp_path: Path, answers: dict[str, Answer]
) -> None:
    run = make_run(tmp_path, FakeAgent(outage(answers)), pairs=50)

    def interrupt(progress: Progress) -> None:
        if progress.record.number == 4:
            raise KeyboardInterrupt

    run.tell = interrupt
    with pytest.raises(KeyboardInterrupt):
        run.run(run.take_reference())
    stored = read_trials(run.folder.path)
    assert [record.number for record in stored] == [1, 2, 3, 4]
    assert decide(record.judged() for record in stored).verdict == INCONCLUSIVE
