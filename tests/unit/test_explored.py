"""Verdicts from made-up graphs, and the way a finding is told."""

from dataclasses import replace

import pytest

from chainrace.judge.explored import (
    EXIT_OF,
    HARMFUL,
    HARMLESS,
    NOT_EXERCISED,
    NOT_PROVED,
    UNFINISHED,
    EndState,
    Explored,
    Finding,
    Graph,
    Healing,
    conclusion,
    in_short,
)
from chainrace.judge.outcome import FamilyOutcome
from chainrace.judge.outcomemap import Cell, OutcomeMap
from chainrace.judge.verdict import CONFIRMED, INCONCLUSIVE, NOT_REPRODUCED, REFUTED
from chainrace.model import schedule
from chainrace.model.mode import HEALTHY, INIT_FAILED
from chainrace.subjects.kubelet.modes import CANARY_LOST, GUARD_OPEN, HINT_LOST


def end(name: str, *modes: str, noticed: bool = False) -> EndState:
    return EndState(name, schedule.parse(name), FamilyOutcome(modes, noticed=noticed))


def graph(*ends: EndState, family: str = "ipv4", **changes: object) -> Graph:
    whole = Graph(
        family=family,
        states=20,
        transitions=25,
        merges=3,
        executed=1,
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


def finding(name: str, *modes: str, same: int = 3, signature: bool = False) -> Finding:
    return Finding(
        family="ipv4",
        schedule=schedule.parse(name),
        outcome=FamilyOutcome(modes),
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
    assert SOUND.verdict == HARMLESS
    assert SOUND.reason == ("no order of whole processes harms kubelet: 40 states, for 210 orders")


def test_a_finding_that_was_replayed_is_harmful() -> None:
    assert BROKEN.verdict == HARMFUL
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
    assert unfinished.verdict == UNFINISHED
    assert unfinished.reason


def test_for_each_class_the_shortest_schedule_is_shown() -> None:
    both = explored(
        findings=(
            finding("s1 k3 s2 k* s*", INIT_FAILED, HINT_LOST),
            finding("s1 k7 s* k*", INIT_FAILED),
        )
    )
    names = {name: str(one.schedule) for name, one in both.shortest().items()}
    assert names == {INIT_FAILED: "s1 k7 s* k*", HINT_LOST: "s1 k3 s2 k* s*"}


def test_end_states_that_the_subject_notices_are_another_kind_than_those_it_does_not() -> None:
    kinds = graph(
        end("s1 k5 s* k*", CANARY_LOST),
        end("s1 k7 s* k*", CANARY_LOST),
        end("s1 k9 s* k*", CANARY_LOST, noticed=True),
        end("k* s*", HEALTHY),
    ).by_mode()
    assert [[str(one.schedule) for one in kind] for kind in kinds] == [
        ["s1 k5 s* k*", "s1 k7 s* k*"],
        ["s1 k9 s* k*"],
    ]


def test_what_lets_a_packet_in_is_not_healed_though_nothing_is_missing() -> None:
    assert not Healing(looked=True, seconds=60.0, left=FamilyOutcome((GUARD_OPEN,))).healed
    assert Healing(looked=True, seconds=60.0, left=FamilyOutcome((HEALTHY,))).healed


def test_the_outage_is_confirmed_by_a_harmful_original_and_a_harmless_fix() -> None:
    verdict, reason = conclusion({"fixed": SOUND, "original": BROKEN})
    assert verdict == CONFIRMED
    assert "s1 k7 s* k*" in reason


def test_a_harmful_fix_refutes() -> None:
    assert conclusion({"fixed": BROKEN, "original": BROKEN})[0] == REFUTED


def test_a_harmless_original_is_a_bug_that_was_not_reproduced_and_says_nothing_of_the_fix() -> None:
    verdict, reason = conclusion({"fixed": SOUND, "original": SOUND})
    assert verdict == NOT_REPRODUCED
    assert EXIT_OF[verdict] == 3
    assert "the bug is not there" in reason


def test_what_is_not_finished_is_inconclusive() -> None:
    half = explored(graph(end("k* s*", HEALTHY), open=4))
    assert conclusion({"fixed": half, "original": BROKEN})[0] == INCONCLUSIVE
    assert conclusion({"fixed": SOUND, "original": half})[0] == INCONCLUSIVE
    unsigned = replace(BROKEN, findings=(finding("s1 k7 s* k*", INIT_FAILED),))
    assert conclusion({"fixed": SOUND, "original": unsigned})[0] == INCONCLUSIVE
    assert conclusion({"fixed": SOUND})[0] == HARMLESS
    assert conclusion({})[0] == UNFINISHED


DOUBTS = ("python3 (pid 812, unit foo.service) changed ipv4/mangle by itself", "the script forks")


def test_a_doubt_keeps_a_script_from_being_called_harmless() -> None:
    doubted = replace(SOUND, doubts=DOUBTS)
    assert doubted.verdict == NOT_PROVED
    assert EXIT_OF[doubted.verdict] == 3
    assert doubted.reason == f"not proved: {DOUBTS[0]} (and 1 more doubt)"


def test_a_harm_that_came_out_the_same_stays_one_and_its_doubts_are_named() -> None:
    doubted = replace(BROKEN, doubts=DOUBTS[:1])
    assert doubted.verdict == HARMFUL
    assert DOUBTS[0] in doubted.reason


def test_a_script_that_does_nothing_is_not_exercised_whatever_is_in_doubt() -> None:
    idle = replace(SOUND, graphs=(), unexercised="it runs no process", doubts=DOUBTS)
    assert idle.verdict == NOT_EXERCISED
    assert EXIT_OF[idle.verdict] == 3
    assert idle.reason == "not exercised: it runs no process"
    assert replace(BROKEN, unexercised="it runs no process").verdict == HARMFUL


def test_what_was_not_exercised_or_is_in_doubt_is_never_harmless_beside_the_original() -> None:
    for changed, verdict in (
        (replace(SOUND, doubts=DOUBTS), NOT_PROVED),
        (replace(SOUND, unexercised="it does not end"), NOT_EXERCISED),
    ):
        said, reason = conclusion({"fixed": changed, "original": BROKEN})
        assert said == verdict
        assert changed.reason in reason


def test_what_it_does_to_others_alone_is_no_harm_of_kubelets() -> None:
    taken = replace(SOUND, alone=("takes away ipv4 filter -A INPUT -i lo -j ACCEPT",))
    assert taken.verdict == HARMLESS


def test_a_script_of_which_nothing_was_explored_is_not_harmless() -> None:
    assert explored().verdict == UNFINISHED


def test_an_interrupted_exploration_says_what_was_found_and_what_is_pending() -> None:
    failing = OutcomeMap(("iptables -N A",), ("iptables -F",), ())
    seen = graph(
        end("s1 k7 s* k*", INIT_FAILED), end("s1 k9 s* k*", HINT_LOST), open=34, map=failing
    )
    half = explored(seen, begun=False, script="original")
    verdict, reason = conclusion({"fixed": SOUND, "original": half}, ["fixed", "original"])
    assert verdict == INCONCLUSIVE
    assert f"harm was seen, but is not confirmed by replays: {INIT_FAILED}, {HINT_LOST}" in reason
    assert "2 failure modes still to be replayed" in reason
    assert "34 steps still to be tried" in reason
    assert "not seen to break" not in reason


def test_failures_that_only_the_map_shows_are_told_too() -> None:
    cell = Cell(0, 1, 3, "s1 k3 s* k*", (CANARY_LOST,))
    shown = OutcomeMap(("iptables -N A",) * 3, ("iptables -F",), (cell,))
    assert CANARY_LOST in explored(graph(open=9, map=shown)).reason


def test_an_original_that_was_not_come_to_is_said_to_be_that() -> None:
    verdict, reason = conclusion({"fixed": SOUND}, ["fixed", "original"])
    assert verdict == INCONCLUSIVE
    assert "the original: it was not come to" in reason


def test_a_harm_of_which_more_is_pending_says_so() -> None:
    more = replace(BROKEN, graphs=(replace(BROKEN.graphs[0], open=5), *BROKEN.graphs[1:]))
    assert "5 steps still to be tried" in more.reason


def test_any_number_of_orders_is_told_in_short() -> None:
    assert in_short(133) == "133"
    assert in_short(10**299) == "1e+299"
    assert in_short(10**5000).endswith("or more")


def test_of_two_families_explored_together_steps_and_orders_count_once() -> None:
    both = explored(
        graph(end("k* s*", HEALTHY), open=4), graph(family="ipv6", states=0, open=4, orders=105)
    )
    assert "; 4 steps still to be tried" in both.reason
    done = explored(graph(end("k* s*", HEALTHY)), graph(family="ipv6", states=0))
    assert done.reason.endswith("20 states, for 105 orders")
