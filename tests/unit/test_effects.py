"""What one step on the node stands for, and what it does not."""

import pytest

from chainrace.race import state
from chainrace.race.effects import Effects
from chainrace.race.state import State
from tests.unit.test_state import view

EMPTY = "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"
MADE = "*filter\n:INPUT ACCEPT [0:0]\n:A - [0:0]\nCOMMIT\n"
NAT = "*nat\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
NEXT = {"k": "iptables -N A", "s": "iptables -t nat -F"}


def seen(*lines: str, rules: str, waiting: dict[str, str], before: State | None = None) -> State:
    both = {"ipv4": rules, "ipv6": ""}
    return state.read(view(*lines, waiting=waiting, rules=both), before)


def learned() -> Effects:
    """kubelet makes a chain in filter."""
    effects = Effects(lazy="x")
    origin = seen(rules=EMPTY, waiting=NEXT)
    effects.learn(
        origin,
        "k",
        seen("k iptables -N A", rules=MADE, waiting={"s": NEXT["s"]}, before=origin),
    )
    return effects


def test_a_step_is_known_wherever_its_tables_are_the_same() -> None:
    elsewhere = seen(
        "s iptables -t nat -F", rules=EMPTY + NAT, waiting={"k": NEXT["k"], "s": "iptables -F"}
    )
    inferred = learned().infer(elsewhere, "k")
    assert inferred is not None
    walked = seen(
        *("s iptables -t nat -F", "k iptables -N A"),
        rules=MADE + NAT,
        waiting={"s": "iptables -F"},
        before=elsewhere,
    )
    assert inferred.key == walked.key


def test_it_is_not_known_on_another_table_nor_after_another_history() -> None:
    effects = learned()
    assert effects.infer(seen(rules=MADE, waiting=NEXT), "k") is None
    later = seen("k iptables --version", rules=EMPTY, waiting=NEXT)
    assert effects.infer(later, "k") is None
    assert effects.infer(seen(rules=EMPTY, waiting=NEXT), "s") is None


def test_a_restore_is_known_only_where_its_script_did_the_same_before() -> None:
    waiting = {"s": "iptables-restore"}
    effects = Effects(lazy="x")
    origin = seen("s iptables-save", rules=EMPTY, waiting=waiting)
    made = seen("s iptables-save", "s iptables-restore", rules=MADE, waiting={}, before=origin)
    effects.learn(origin, "s", made)
    assert effects.infer(origin, "s") is not None
    assert effects.infer(seen(rules=EMPTY, waiting=waiting), "s") is None


def test_a_step_that_changed_what_it_does_not_name_is_refused() -> None:
    origin = seen(rules=EMPTY, waiting=NEXT)
    target = seen("k iptables -N A", rules=MADE + NAT, waiting={"s": NEXT["s"]}, before=origin)
    with pytest.raises(ValueError, match="-N A changed more than it touches: ipv4/nat"):
        Effects(lazy="x").learn(origin, "k", target)


def test_a_step_that_moved_the_other_actor_is_refused() -> None:
    origin = seen(rules=EMPTY, waiting=NEXT)
    target = seen("k iptables -N A", rules=MADE, waiting={"s": "iptables -F"}, before=origin)
    with pytest.raises(ValueError, match="another actor"):
        Effects(lazy="x").learn(origin, "k", target)


def test_a_step_that_once_did_something_else_is_refused() -> None:
    origin = seen(rules=EMPTY, waiting=NEXT)
    other = seen("k iptables -N A", rules=EMPTY, waiting={"s": NEXT["s"]}, before=origin)
    with pytest.raises(ValueError, match="something else than in the same circumstances"):
        learned().learn(origin, "k", other)
