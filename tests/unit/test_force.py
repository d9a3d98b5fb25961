"""Verdicts by force from made-up graphs, and the way a finding is told."""

from dataclasses import replace

import pytest

from chainrace.race import schedule
from chainrace.race.force import (
    HARMFUL,
    HARMLESS,
    UNFINISHED,
    EndState,
    Explored,
    Finding,
    Graph,
    conclusion,
)
from chainrace.race.outcome import CANARY_LOST, HEALTHY, HINT_LOST, INIT_FAILED, FamilyOutcome, Name
from chainrace.race.outcomemap import OutcomeMap
from chainrace.race.verdict import CONFIRMED, INCONCLUSIVE, REFUTED


def end(name: str, *classes: Name, missing: tuple[str, ...] = ()) -> EndState:
    return EndState(name, schedule.parse(name), FamilyOutcome(classes, missing=missing))


def graph(*ends: EndState, family: str = "ipv4", **changes: object) -> Graph:
    whole = Graph(
        family=family,
        states=20,
        transitions=25,
        merges=3,
        swaps=2,
        walked=1,
        open=0,
        interleavings=9,
        orders=105,
        preemptions=None,
        differing=0,
        counts={},
        seconds={},
        ends=ends,
        map=OutcomeMap((), (), ()),
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def finding(name: str, *classes: Name, same: int = 3, signature: bool = False) -> Finding:
    return Finding(
        family="ipv4",
        schedule=schedule.parse(name),
        outcome=FamilyOutcome(classes),
        signature=signature,
        detected_by=None,
        end_states=1,
        replays=3,
        same=same,
        healing=None,
    )


def explored(
    *graphs: Graph, findings: tuple[Finding, ...] = (), script: str = "fixed", begun: bool = True
) -> Explored:
    return Explored(script, 2, "", begun, graphs, findings)


SOUND = explored(graph(end("k* s*", HEALTHY)), graph(end("x* s*", HEALTHY), family="ipv6"))
BROKEN = explored(
    graph(end("s1 k7 s* k*", INIT_FAILED), end("k* s*", HEALTHY)),
    graph(end("x* s*", HEALTHY), family="ipv6"),
    findings=(finding("s1 k7 s* k*", INIT_FAILED, signature=True),),
    script="original",
)


def test_a_complete_graph_of_healthy_ends_is_harmless_and_says_what_that_covers() -> None:
    assert SOUND.word == HARMLESS
    assert "40 states" in SOUND.reason
    assert "210 orders" in SOUND.reason


def test_a_finding_that_was_replayed_is_harmful() -> None:
    assert BROKEN.word == HARMFUL
    assert INIT_FAILED in BROKEN.reason


@pytest.mark.parametrize(
    "unfinished",
    [
        explored(graph(end("k* s*", HEALTHY), open=4)),
        explored(graph(end("k* s*", HEALTHY), preemptions=2)),
        explored(graph(end("k* s*", HEALTHY)), begun=False),
        explored(graph(end("s1 k7 s* k*", INIT_FAILED))),
        explored(
            graph(end("s1 k7 s* k*", INIT_FAILED)),
            findings=(finding("s1 k7 s* k*", INIT_FAILED, same=2),),
        ),
    ],
    ids=["open", "bounded", "one family", "not replayed", "replayed differently"],
)
def test_nothing_is_said_to_be_harmless_or_harmful_before_it_is_proved(
    unfinished: Explored,
) -> None:
    assert unfinished.word == UNFINISHED
    assert unfinished.reason


def test_for_each_class_the_plainest_schedule_is_shown() -> None:
    both = explored(
        findings=(
            finding("s1 k3 s2 k* s*", INIT_FAILED, HINT_LOST),
            finding("s1 k7 s* k*", INIT_FAILED),
        )
    )
    names = {name: str(one.schedule) for name, one in both.simplest().items()}
    assert names == {INIT_FAILED: "s1 k7 s* k*", HINT_LOST: "s1 k3 s2 k* s*"}


def test_end_states_to_which_the_monitor_does_the_same_are_one_kind() -> None:
    looked_for = "mangle :KUBE-KUBELET-CANARY"
    kinds = graph(
        end("s1 k5 s* k*", CANARY_LOST, missing=("nat :KUBE-KUBELET-CANARY",)),
        end("s1 k7 s* k*", CANARY_LOST, missing=("filter :KUBE-KUBELET-CANARY",)),
        end("s1 k9 s* k*", CANARY_LOST, missing=(looked_for,)),
        end("k* s*", HEALTHY),
    ).kinds()
    assert [[str(one.schedule) for one in kind] for kind in kinds] == [
        ["s1 k5 s* k*", "s1 k7 s* k*"],
        ["s1 k9 s* k*"],
    ]


def test_the_outage_is_confirmed_by_a_harmful_original_and_a_harmless_fix() -> None:
    word, reason = conclusion({"fixed": SOUND, "original": BROKEN})
    assert word == CONFIRMED
    assert "s1 k7 s* k*" in reason


def test_a_harmful_fix_or_a_harmless_original_refutes() -> None:
    assert conclusion({"fixed": BROKEN, "original": BROKEN})[0] == REFUTED
    assert conclusion({"fixed": SOUND, "original": SOUND})[0] == REFUTED


def test_what_is_not_finished_is_inconclusive() -> None:
    half = explored(graph(end("k* s*", HEALTHY), open=4))
    assert conclusion({"fixed": half, "original": BROKEN})[0] == INCONCLUSIVE
    assert conclusion({"fixed": SOUND, "original": half})[0] == INCONCLUSIVE
    unsigned = replace(BROKEN, findings=(finding("s1 k7 s* k*", INIT_FAILED),))
    assert conclusion({"fixed": SOUND, "original": unsigned})[0] == INCONCLUSIVE
    assert conclusion({"fixed": SOUND})[0] == HARMLESS
    assert conclusion({})[0] == UNFINISHED
