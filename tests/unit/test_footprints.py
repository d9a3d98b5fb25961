"""What commands touch, as it is widened by what was seen."""

from chainrace.model.trial import Call
from chainrace.search.footprints import Footprints
from chainrace.search.step import EVERYTHING, Footprint, footprint, tables_alone


def call(line: str, actor: str = "script") -> Call:
    program, *words = line.split()
    return Call(actor, program, tuple(words), exe="xtables-nft-multi")


FLUSH, MAKE = call("iptables -F"), call("iptables -N A")
OTHER = call("ip6tables -t nat -N B", "kubelet")


def test_a_command_touches_what_its_grammar_says() -> None:
    known = Footprints()
    assert known.of(FLUSH) == footprint(FLUSH) == Footprint(writes=frozenset({"ipv4/filter/rules"}))
    assert known.by_tables_alone(FLUSH) is tables_alone(FLUSH) is True
    assert not known.by_tables_alone(call("perl x"))


def test_one_that_was_seen_to_touch_more_touches_everything_from_then_on() -> None:
    known = Footprints()
    assert known.widen(FLUSH)
    assert known.of(FLUSH) == EVERYTHING
    assert not known.by_tables_alone(FLUSH)
    assert known.of(MAKE) == footprint(MAKE)
    assert known.by_tables_alone(MAKE)


def test_widening_comes_to_an_end() -> None:
    known = Footprints()
    assert known.widen(FLUSH)
    assert not known.widen(FLUSH)
    assert not known.widen(call("perl x"))


def test_what_comes_along_with_a_command_is_touched_by_it() -> None:
    known = Footprints()
    known.join(MAKE, [OTHER])
    assert known.of(MAKE) == footprint(MAKE) | footprint(OTHER)
    assert known.of(OTHER) == footprint(OTHER)


def test_what_comes_along_with_what_comes_along_is_too() -> None:
    known = Footprints()
    known.join(OTHER, [FLUSH])
    known.join(MAKE, [OTHER])
    assert footprint(FLUSH) <= known.of(MAKE)
    known.join(MAKE, [])
    assert footprint(FLUSH) <= known.of(MAKE)


def test_what_comes_along_and_is_not_understood_makes_all_of_it_so() -> None:
    known = Footprints()
    known.join(MAKE, [call("perl x")])
    assert known.of(MAKE).conflicts(footprint(OTHER))
    assert known.of(MAKE) >= EVERYTHING
