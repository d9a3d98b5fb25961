"""The outage end to end: what is read of pods, how it is judged, kept and shown."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.cluster import pods, workloads
from chainrace.cluster.control_plane import ControlPlane
from chainrace.explore.scripts import Script
from chainrace.judge.cluster import WORDS, PodLine, Repair, Start, conclude, has_jump, last_words
from chainrace.judge.conclusion import CLUSTER
from chainrace.judge.verdict import CONFIRMED, INCONCLUSIVE, NOT_REPRODUCED, REFUTED
from chainrace.report import page, verdict
from chainrace.report.results import Asked, ResultsFolder, judge_again, write_verdict
from chainrace.run.wholenode import Plan, WholeNode

RUNS = Start(
    script="fixed",
    schedule="s2 k8 s1 k9 x9",
    words={"ipv4": "initialised", "ipv6": "initialised"},
    missing={"ipv4": (), "ipv6": ()},
    later={"ipv4": (), "ipv6": ()},
    pods=(PodLine(3.5, "kube-system azure-npm-abcde 1/1 Running 0 3s"),),
    restarts=0,
    crashloops=False,
    runs=True,
    said="",
    seconds=300.0,
)
CRASHES = replace(
    RUNS,
    script="original",
    missing={"ipv4": ("mangle :KUBE-IPTABLES-HINT",), "ipv6": ()},
    restarts=5,
    crashloops=True,
    runs=False,
    said=f"error: failed to bootup policy manager: {WORDS} kube proxy is using",
)


def status(**state: Any) -> dict[str, Any]:
    return {"restartCount": 1, "lastState": {}, "state": state}


def ended(code: int, began: str) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "startedAt": began}}


def listed(*statuses: dict[str, Any]) -> dict[str, Any]:
    return {"items": [{"metadata": {"name": "npm"}, "status": {"containerStatuses": statuses}}]}


# What a pod's containers do.


def test_a_container_that_waits_after_an_error_has_failed() -> None:
    waits = status(waiting={"reason": "CrashLoopBackOff"})
    waits["lastState"] = ended(1, "2026-11-28T11:02:03Z")
    (found,) = pods.containers_in(listed(waits))
    assert (found.failed, found.waiting) == ("2026-11-28T11:02:03Z", pods.CRASHLOOP)
    assert not found.running


def test_a_try_that_has_just_ended_counts_before_the_one_before_it() -> None:
    now = status(**ended(1, "2026-11-28T11:02:03Z"))
    now["lastState"] = ended(1, "2026-11-28T11:01:00Z")
    assert pods.containers_in(listed(now))[0].failed == "2026-11-28T11:02:03Z"


def test_an_end_without_an_error_is_no_failure() -> None:
    now = status(running={})
    now["lastState"] = ended(0, "2026-11-28T11:01:00Z")
    (found,) = pods.containers_in(listed(now))
    assert found.running
    assert not found.failed


def test_a_pod_that_no_node_has_reported_yet_has_no_container() -> None:
    assert pods.containers_in({"items": [{"metadata": {"name": "npm"}, "status": {}}]}) == ()


def test_of_a_container_that_was_lost_nobody_knows_when_it_began() -> None:
    lost = status(terminated={"exitCode": 137, "startedAt": None})
    assert not pods.containers_in(listed(lost))[0].failed


@pytest.fixture
def next_try(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., bool]:
    """The question, where the API server says one list of pods after the other."""
    monkeypatch.setattr(pods, "LOOK_SECONDS", 0.0)
    plane = ControlPlane(Paths(tmp_path), {}, {})

    def ask(*said: dict[str, Any], since: str = "", works: bool = True, limit: float = 9) -> bool:
        left = list(said)

        def kubectl(*_: object, **__: object) -> str:
            return json.dumps(left.pop(0) if len(left) > 1 else left[0])

        monkeypatch.setattr(ControlPlane, "kubectl", kubectl)
        return pods.next_try(plane, pods.AZURE_NPM, since, lambda: works, limit)

    return ask


def test_a_try_that_began_before_the_repair_says_nothing_of_it(
    next_try: Callable[..., bool],
) -> None:
    old = listed(status(**ended(1, "2026-11-28T11:00:00Z")))
    works = listed(status(running={}))
    assert next_try(old, works, since="2026-11-28T11:00:00Z")


def test_a_try_that_began_after_the_repair_and_fails_says_that_it_is_none(
    next_try: Callable[..., bool],
) -> None:
    new = listed(status(**ended(1, "2026-11-28T11:00:01Z")))
    assert not next_try(new, since="2026-11-28T11:00:00Z")


def test_a_container_that_runs_and_has_not_set_its_jump_is_not_yet_one_that_works(
    next_try: Callable[..., bool],
) -> None:
    runs = listed(status(running={}))
    with pytest.raises(LabError, match="has run or failed within 0 s"):
        next_try(runs, works=False, limit=0.01)


# The verdict.


@pytest.mark.parametrize(
    ("line", "set_"),
    [
        ("-A FORWARD -m conntrack --ctstate NEW -j AZURE-NPM", True),
        ("-A AZURE-NPM -j AZURE-NPM-INGRESS", False),
        (":AZURE-NPM - [0:0]", False),
        ("-A FORWARD -j AZURE-NPM-EGRESS", False),
    ],
)
def test_azure_npm_has_started_when_its_jump_is_there(line: str, *, set_: bool) -> None:
    assert has_jump({"ipv4": f"*filter\n{line}\nCOMMIT\n", "ipv6": ""}) is set_


@pytest.mark.parametrize(
    ("starts", "said", "why"),
    [
        ([RUNS, CRASHES], CONFIRMED, "5 restarts in 300 s, in the outage's own words"),
        ([replace(CRASHES, script="fixed")], REFUTED, "does not run after the fixed script"),
        (
            [RUNS, replace(CRASHES, script="fixed", schedule="k8 s4 k7"), CRASHES],
            REFUTED,
            "started 5 times again (k8 s4 k7)",
        ),
        ([replace(RUNS, runs=False, restarts=2), CRASHES], INCONCLUSIVE, "not as in the outage"),
        ([RUNS], INCONCLUSIVE, "both scripts"),
        ([], INCONCLUSIVE, "both scripts"),
        ([RUNS, replace(RUNS, script="original")], NOT_REPRODUCED, "runs after the original, too"),
        ([RUNS, replace(CRASHES, said="out of memory")], INCONCLUSIVE, "not as in the outage"),
    ],
)
def test_the_verdict_is_the_pods(starts: list[Start], said: str, why: str) -> None:
    verdict, reason = conclude(starts)
    assert verdict == said
    assert why in reason


def test_the_outages_own_words_are_shown_also_where_a_later_try_is_under_way() -> None:
    log = "\n".join([CRASHES.said, *("starting again" for _ in range(9))])
    assert last_words(log) == CRASHES.said
    assert last_words("a\nb\nc\nd\ne") == "b\nc\nd\ne"


# What is kept, and shown.


def kept(parent: Path, *starts: Start, repairs: tuple[Repair, ...] = ()) -> Path:
    folder = ResultsFolder(parent, Asked("cluster", evidence=(CLUSTER,)))
    if starts:
        folder.cluster(starts, repairs)
    write_verdict(folder.path, judge_again(folder.path), {}, interrupted=False)
    return folder.path


def test_a_run_is_judged_again_from_its_folder(tmp_path: Path) -> None:
    folder = kept(tmp_path, RUNS, CRASHES)
    assert judge_again(folder).verdict == CONFIRMED
    assert verdict.read(folder)["reason"] == judge_again(folder).reason


def test_a_run_that_came_to_nothing_is_inconclusive(tmp_path: Path) -> None:
    assert judge_again(kept(tmp_path)).verdict == INCONCLUSIVE


def test_the_page_shows_pods_rules_and_repairs(tmp_path: Path) -> None:
    repair = Repair("kubelet restarted", runs=True, missing={"ipv4": (), "ipv6": ()}, seconds=20.0)
    folder = kept(tmp_path, RUNS, CRASHES, repairs=(repair,))
    drawn = page.draw(folder)
    for part in ("azure-npm-abcde", "mangle :KUBE-IPTABLES-HINT", "kubelet restarted", WORDS):
        assert part in drawn
    assert verdict.read(folder)["lines"]["cluster"] == "kubelet restarted: azure-npm runs"


# A node of the cluster, at its kubelet's start.


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> WholeNode:
    """One whose cluster is made up, and which is up to here only."""
    paths = Paths(tmp_path)
    made = object.__new__(WholeNode)
    monkeypatch.setattr(WholeNode, "_anew", lambda _: None)
    monkeypatch.setattr(workloads, "kube_proxy", lambda _: None)
    monkeypatch.setattr(workloads, "azure_npm", lambda _: None)
    monkeypatch.setattr(workloads, "apply", lambda *_: None)
    monkeypatch.setattr(pods, "watched", lambda *_: nullcontext())
    made._plane = ControlPlane(paths, {}, {})
    return made


def test_a_script_that_fails_shows_nothing(
    whole: WholeNode, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(WholeNode, "_walk", lambda *_: {"script_code": 3})
    plan = Plan("fixed", Script("mine.sh", "/mine", "0"), "k8 s* k*")
    with pytest.raises(LabError, match=r"mine\.sh ended with 3, not with 0"):
        whole.start(plan, 1.0, tmp_path, lambda _: None)
    assert (tmp_path / "pods.txt").exists()


def test_where_the_outage_has_not_come_nothing_is_a_repair(
    whole: WholeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = nullcontext((None, None, True))
    monkeypatch.setattr(WholeNode, "_begun", lambda *_: begun)
    with pytest.raises(LabError, match="the outage did not come"):
        whole.repair("kubelet restarted", Script("original", "/o", "0"), lambda _: None)
