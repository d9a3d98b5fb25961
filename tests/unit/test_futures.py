"""What an actor may still do: only what it was seen to do after the same history and answers."""

from chainrace.model.trial import Call
from chainrace.search.footprints import Footprints
from chainrace.search.futures import Futures
from chainrace.search.state import Answer, Local, Made, State
from chainrace.search.step import EVERYTHING, Footprint, footprint


def call(line: str, actor: str = "script") -> Call:
    program, *words = line.split()
    return Call(actor, program, tuple(words), exe="xtables-nft-multi")


LOOK, FLUSH, NAT = call("iptables -S A"), call("iptables -F"), call("iptables -t nat -F")
TOUCH = {one: footprint(one) for one in (LOOK, FLUSH, NAT)}


def place(*made: tuple[Call, int, str], waiting: Call | None = None, lane: str = "s") -> Local:
    """Where the script is after these commands with their codes and texts."""
    history = tuple(
        Made("s", one, (Answer(at, code, out),)) for at, (one, code, out) in enumerate(made)
    )
    return Local({"s": history}, {} if waiting is None else {lane: waiting}, {"s": waiting is None})


BEGIN = place(waiting=LOOK)
ABSENT = place((LOOK, 1, ""), waiting=NAT)
THERE = place((LOOK, 0, ""), waiting=FLUSH)
AFTER_NAT = place((LOOK, 1, ""), (NAT, 0, ""))
AFTER_FLUSH = place((LOOK, 0, ""), (FLUSH, 0, ""))


def at(where: Local) -> State:
    return State(
        {"k": (), "x": (), **where.histories},
        dict(where.waiting),
        {"k": False, "x": False, **where.ended},
        {},
    )


def known(*steps: tuple[Local, Local]) -> Futures:
    futures = Futures(Footprints())
    for before, after in steps:
        futures.learn("s", before, after)
    return futures


def test_what_was_never_seen_may_be_anything() -> None:
    futures = known()
    assert futures.future("s", at(BEGIN)) >= EVERYTHING
    assert not futures.known("s", at(BEGIN))


def test_an_actor_that_has_ended_does_nothing_more() -> None:
    futures = known()
    assert futures.future("s", at(AFTER_NAT)) == Footprint()
    assert futures.known("s", at(AFTER_NAT))


def test_what_is_still_done_shrinks_as_it_goes_on() -> None:
    futures = known((BEGIN, ABSENT), (ABSENT, AFTER_NAT))
    assert futures.future("s", at(BEGIN)) == TOUCH[LOOK] | TOUCH[NAT]
    assert futures.future("s", at(ABSENT)) == TOUCH[NAT]
    assert futures.known("s", at(BEGIN))


def test_a_run_that_was_not_seen_to_its_end_may_go_on_with_anything() -> None:
    futures = known((BEGIN, ABSENT))
    assert futures.future("s", at(BEGIN)).conflicts(footprint(call("ip6tables -F")))
    assert not futures.known("s", at(BEGIN))


def test_after_another_answer_it_may_do_anything() -> None:
    futures = known((BEGIN, ABSENT), (ABSENT, AFTER_NAT))
    for other in (
        place((LOOK, 0, ""), waiting=NAT),  # another code
        place((LOOK, 1, "told"), waiting=NAT),  # it was told something else
        place((LOOK, 1, ""), waiting=FLUSH),  # it goes on with another command
        place((NAT, 1, ""), waiting=NAT),  # another command before
        place((LOOK, 1, ""), waiting=NAT, lane="t"),
    ):
        assert futures.future("s", at(other)) >= EVERYTHING, other
        assert not futures.known("s", at(other))


def test_where_it_was_seen_to_do_one_thing_and_another_it_may_do_both() -> None:
    """Whichever was seen first."""
    ways = ((BEGIN, ABSENT), (ABSENT, AFTER_NAT), (BEGIN, THERE), (THERE, AFTER_FLUSH))
    for steps in (ways, ways[::-1]):
        futures = known(*steps)
        assert futures.future("s", at(BEGIN)) == TOUCH[LOOK] | TOUCH[NAT] | TOUCH[FLUSH]
        assert futures.known("s", at(BEGIN))


def test_one_branch_that_was_not_seen_to_its_end_leaves_all_open() -> None:
    futures = known((BEGIN, ABSENT), (ABSENT, AFTER_NAT), (BEGIN, THERE))
    assert not futures.known("s", at(BEGIN))
    assert futures.future("s", at(BEGIN)) >= EVERYTHING
    assert futures.future("s", at(ABSENT)) == TOUCH[NAT]


def test_a_future_that_was_asked_for_and_turns_out_larger_is_told_once() -> None:
    futures = known((BEGIN, ABSENT), (ABSENT, AFTER_NAT))
    futures.future("s", at(BEGIN))
    assert not futures.grown()
    futures.learn("s", BEGIN, THERE)
    futures.learn("s", THERE, AFTER_FLUSH)
    assert futures.grown()
    assert not futures.grown()


def test_one_that_was_open_when_it_was_asked_for_does_not_count_as_grown() -> None:
    futures = known()
    futures.future("s", at(BEGIN))
    futures.learn("s", BEGIN, THERE)
    futures.learn("s", THERE, AFTER_FLUSH)
    assert not futures.grown()


def test_but_once_it_has_been_closed_it_does() -> None:
    futures = known()
    futures.future("s", at(BEGIN))
    futures.learn("s", BEGIN, ABSENT)
    futures.learn("s", ABSENT, AFTER_NAT)
    assert futures.future("s", at(BEGIN)) == TOUCH[LOOK] | TOUCH[NAT]
    futures.learn("s", BEGIN, THERE)
    futures.learn("s", THERE, AFTER_FLUSH)
    assert futures.grown()


def test_what_was_widened_since_is_larger_at_once_and_counts_as_grown() -> None:
    futures = known((BEGIN, ABSENT), (ABSENT, AFTER_NAT))
    futures.future("s", at(BEGIN))
    futures.footprints.widen(NAT)
    assert futures.grown()
    assert futures.future("s", at(BEGIN)) >= EVERYTHING


def test_of_kubelets_two_lanes_each_has_a_future_of_its_own() -> None:
    ipv4, ipv6 = call("iptables -N A", "kubelet"), call("ip6tables -N A", "kubelet")
    history = {"k": (), "x": ()}
    first = Local(history, {"k": ipv4, "x": ipv6}, {"k": False, "x": False})
    one = Made("k", ipv4, (Answer(0, 0),))
    second = Local({**history, "k": (one,)}, {"x": ipv6}, {"k": True, "x": False})
    two = Made("x", ipv6, (Answer(0, 0),))
    third = Local({"k": (one,), "x": (two,)}, {}, {"k": True, "x": True})
    futures = Futures(Footprints())
    futures.learn("k", first, second)
    futures.learn("x", second, third)
    state = State({**first.histories, "s": ()}, first.waiting, {**first.ended, "s": True}, {})
    assert futures.future("k", state) == footprint(ipv4)
    assert futures.future("x", state) == footprint(ipv6)
    assert futures.known("k", state)
    assert futures.known("x", state)


def test_all_lanes_of_the_scripts_have_one_future() -> None:
    """What one does decides which lane another is."""
    both = Local({"s": ()}, {"s": LOOK, "t": FLUSH}, {"s": False})
    made = Made("t", FLUSH, (Answer(0, 0),))
    after = Local({"s": (made,)}, {"s": LOOK}, {"s": False})
    last = Local({"s": (made, Made("s", LOOK, (Answer(1, 0),)))}, {}, {"s": True})
    futures = Futures(Footprints())
    futures.learn("t", both, after)
    futures.learn("s", after, last)
    assert futures.future("s", at(both)) == TOUCH[LOOK] | TOUCH[FLUSH]
    assert futures.future("t", at(both)) == TOUCH[LOOK] | TOUCH[FLUSH]


def test_a_long_script_is_no_deep_recursion() -> None:
    places = [
        Local({"s": (Made("s", NAT, ()),) * at}, {"s": NAT}, {"s": False}) for at in range(1500)
    ]
    futures = Futures(Footprints())
    end = Local({"s": (Made("s", NAT, ()),) * 1500}, {}, {"s": True})
    for at_step, one in enumerate((*places, end)):
        vars(one)["key"] = str(at_step)  # a digest of each would take seconds
    for before, after in zip(places, [*places[1:], end], strict=True):
        futures.learn("s", before, after)
    begun = at(places[0])
    begun.place("s")
    vars(begun)["_places"]["s"] = places[0]
    assert futures.future("s", begun) == TOUCH[NAT]


def test_a_place_that_two_lanes_lead_to_counts_once() -> None:
    futures = known((BEGIN, ABSENT), (ABSENT, AFTER_NAT))
    futures.learn("t", BEGIN, ABSENT)
    assert futures.future("s", at(BEGIN)) == TOUCH[LOOK] | TOUCH[NAT]
    assert futures.known("s", at(BEGIN))


def test_being_let_go_on_by_another_is_no_step_of_its_own() -> None:
    futures = known((BEGIN, ABSENT), (ABSENT, AFTER_NAT))
    futures.learn("s", ABSENT, place((LOOK, 1, ""), waiting=FLUSH))
    assert futures.future("s", at(BEGIN)) == TOUCH[LOOK] | TOUCH[NAT]


def test_after_a_look_of_its_shell_a_step_touches_everything() -> None:
    looked = Local(
        {"s": (Made("s", LOOK, (Answer(0, 0, ""),), looked=("/run/x: -2",)),)}, {}, {"s": True}
    )
    futures = known((BEGIN, looked))
    assert futures.future("s", at(BEGIN)) == EVERYTHING
