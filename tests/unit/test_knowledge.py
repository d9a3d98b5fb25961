"""What is known of a script and kubelet, and what is concluded from it: no node, no I/O."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from chainrace.model.trial import Call, Ending
from chainrace.search.knowledge import Knowledge, other_lanes
from chainrace.search.state import Local, State
from chainrace.search.step import EVERYTHING, Footprint, footprint
from tests.unit.test_state import read, step, words

IPV4, IPV6 = "k iptables -N A", "x ip6tables -N A"
DONE = (IPV4, IPV6)


def knowledge(*families: str, reduced: bool = True) -> Knowledge:
    return Knowledge(families or ("ipv4",), reduced=reduced)


def call(lane: str, line: str, **more: Any) -> Call:
    return Call.of(words(lane, line, **more))


def learn(known: Knowledge, *states: State) -> None:
    """Take in a run of the script alone."""
    for before, after in pairwise(states):
        known.futures.learn("s", before.place("s"), after.place("s"))


def run_of(*lines: str, waiting: Mapping[str, str] | None = None) -> list[State]:
    """The states of a script's own run."""
    others = waiting or {}
    return [
        read(
            *(f"s {line}" for line in lines[:at]),
            waiting={**others, **({"s": lines[at]} if at < len(lines) else {})},
        )
        for at in range(len(lines) + 1)
    ]


def test_each_lane_that_waits_may_step_but_kubelets_other_family() -> None:
    state = read(waiting={"k": "iptables -N A", "x": "ip6tables -N A", "s": "perl x", "t": "cat x"})
    assert knowledge("ipv4").observe(state).enabled.keys() == {"k", "s", "t"}
    assert knowledge("ipv6").observe(state).enabled.keys() == {"x", "s", "t"}
    assert knowledge("ipv4", "ipv6").observe(state).enabled.keys() == {"k", "x", "s", "t"}


def test_without_reduction_every_future_is_open_and_nothing_is_inferred() -> None:
    states = run_of("iptables -F")
    known = knowledge(reduced=False)
    learn(known, *states)
    known.effects.learn(states[0], "s", states[1])
    seen = known.observe(states[0])
    assert set(seen.futures.values()) == {EVERYTHING}
    assert known.infer(states[0], "s") is None
    whole = knowledge()
    whole.effects.learn(states[0], "s", states[1])
    assert whole.infer(states[0], "s") == states[1]


def test_without_reduction_nothing_ends_before_all_lanes_have() -> None:
    last = read(*DONE, waiting={"s": "iptables --version"})
    assert not knowledge(reduced=False).is_end(last)


ENDS = ("iptables --version", "ip6tables -F")


def after_kubelet(*lines: str) -> tuple[Knowledge, State]:
    """Kubelet has done; the script's known future is these lines."""
    known = knowledge()
    learn(known, *run_of(*lines))
    return known, read(*DONE, waiting={"s": lines[0]})


def test_what_can_touch_nothing_of_the_family_any_more_is_an_end() -> None:
    known, state = after_kubelet(*ENDS)
    assert known.is_end(state)
    assert known.observe(state).enabled == {}


def test_while_the_script_may_still_touch_it_it_is_none() -> None:
    for line in (
        *("iptables -F", "iptables -S", "iptables-save", "nft flush ruleset", "perl x"),
        *("systemctl restart kubelet", "ipset create a hash:ip", "nft add table inet mine"),
        "systemctl restart iptables",
    ):
        known, state = after_kubelet("ip6tables -F", line)
        assert not known.is_end(state), line


def test_nor_while_a_script_whose_end_was_not_seen_goes_on() -> None:
    known, _ = after_kubelet(*ENDS)
    unknown = read(*DONE, step("s iptables --version", 3), waiting={"s": "ip6tables -F"})
    assert not known.is_end(unknown)


def test_nor_while_kubelet_goes_on() -> None:
    known = knowledge()
    learn(known, *run_of(*ENDS))
    state = read(IPV6, waiting={"k": "iptables -N A", "s": ENDS[0]})
    assert not known.is_end(state)


def test_nor_where_the_script_starts_kubelet_again() -> None:
    known, state = after_kubelet(*ENDS)
    known.restarts = True
    assert not known.is_end(state)


def test_nor_where_it_still_looks_at_kubelet_and_may_be_told_what_it_never_was() -> None:
    """Only what it was answered elsewhere is known: here it may go on with anything."""
    known, state = after_kubelet("journalctl -u kubelet", "ip6tables -F")
    assert not known.is_end(state)


def test_nor_while_the_other_goes_on_where_it_is_judged() -> None:
    known = Knowledge(("ipv4",), reduced=True, judges_other=True)
    learn(known, *run_of(*ENDS))
    assert not known.is_end(read(*DONE, waiting={"s": ENDS[0]}))
    last = read(*DONE, *(f"s {line}" for line in ENDS))
    assert known.is_end(last)
    assert known.left_by(last) != known.left_by(read(*DONE, step(f"s {ENDS[0]}", 1)))


def test_families_that_are_explored_together_end_together() -> None:
    known = knowledge("ipv4", "ipv6")
    learn(known, *run_of(*ENDS))
    assert not known.is_end(read(*DONE, waiting={"s": ENDS[0]}))
    assert not known.is_end(read(IPV4, waiting={"x": "ip6tables -N A"}))
    assert known.is_end(read(*DONE))


def test_a_script_that_restarts_kubelet_leaves_kubelets_future_open_until_it_has_ended() -> None:
    known = knowledge()
    known.restarts = True
    assert known.observe(read(*DONE, waiting={"s": "perl x"})).futures["k"] == EVERYTHING
    assert known.observe(read(*DONE)).futures["k"] == Footprint()


def test_every_lane_of_the_scripts_has_the_future_of_all() -> None:
    known = knowledge()
    learn(known, *run_of("iptables -F", "ip6tables -F"))
    seen = known.observe(read(waiting={"s": "iptables -F", "t": "sleep 1"}))
    assert seen.futures["s"] == seen.futures["t"]


def test_a_script_that_cannot_step_now_still_has_a_future() -> None:
    known = knowledge()
    waits = read(waiting={"k": "iptables -N A"}, done={"k": False, "x": True, "s": False})
    assert "s" not in known.observe(waits).enabled
    assert known.observe(waits).futures["s"] >= EVERYTHING


def test_a_step_after_which_a_shell_looks_by_itself_touches_everything() -> None:
    known = knowledge()
    flush = call("s", "iptables -F")
    assert known.footprints.of(flush) == footprint(flush)
    looked = step("s iptables -F", looked=["/var/lib/kubelet/pki: -2"])
    learn(known, read(waiting={"s": "iptables -F"}), read(looked))
    assert known.footprints.of(flush) == EVERYTHING
    assert known.footprints.of(call("s", "iptables -S")) == footprint(call("s", "iptables -S"))


def test_what_an_end_left_is_the_ending_of_all_that_leave_the_same() -> None:
    known = knowledge()
    one, other = read(*DONE, "s iptables -S"), read(*DONE, "s iptables -S", "s iptables -S")
    for state in (one, other):
        known.remember(state)
    ending = Ending({"ipv4": "initialised"}, (), {})
    known.endings[known.left_by(one)] = ending
    assert one.key != other.key
    assert known.ending(other.key) is ending


def test_a_kubelet_that_was_stopped_leaves_something_else_than_one_that_runs() -> None:
    """Its rules and its answers are the same; its words are gone, and so is what they promise."""
    runs, stopped = read(*DONE), read(*DONE, "s systemctl stop kubelet", stopped=True)
    known = knowledge()
    assert known.left_by(runs) != known.left_by(stopped)


def test_a_trace_has_each_step_and_what_it_must_follow() -> None:
    known = knowledge()
    waits = step("s systemctl is-system-running --wait", None)
    lets = step("k iptables -N A", 0, answers=[{"step": 0, "code": 0, "out": ""}])
    end = read(waits, lets, "s iptables -F")
    trace = known.trace(("s", "k", "s"), end)
    assert [one.name for one in trace.steps["s"]] == [
        "systemctl is-system-running --wait",
        "iptables -F",
    ]
    assert [one.name for one in trace.steps["k"]] == ["iptables -N A"]


def test_the_scripts_commands_are_told_in_order() -> None:
    state = read("s iptables -S", "k iptables -N A", "t ip6tables -F")
    assert [str(one) for one in knowledge().calls(state)] == ["iptables -S", "ip6tables -F"]


def test_the_lane_that_is_not_explored() -> None:
    assert other_lanes(("k",)) == ("x",)
    assert other_lanes(("k", "x")) == ()


def test_a_run_teaches_every_place_on_its_way() -> None:
    known = knowledge()
    states = run_of(*ENDS)
    steps: list[tuple[str, Local, Local]] = [
        ("s", before.place("s"), after.place("s")) for before, after in pairwise(states)
    ]
    known.learn_run(steps)
    assert all(known.futures.known("s", state) for state in states)
