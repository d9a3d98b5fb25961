from typing import Any

import pytest

from chainrace.race import state
from chainrace.race.plan import Plan
from chainrace.race.step import EVERYTHING, Footprint, footprint
from chainrace.race.trial import Call


def view(*lines: str, waiting: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    """What the agent shows after these commands, `k iptables -N X` or `s iptables -F`."""
    actors = {"k": "kubelet", "x": "kubelet", "s": "script"}
    commands = []
    for line in lines:
        letter, program, *arguments = line.split()
        commands.append(
            {"actor": actors[letter], "program": program, "arguments": arguments, "code": 0}
        )
    following: dict[str, list[str] | None] = dict.fromkeys("kxs")
    for letter, line in (waiting or {}).items():
        following[letter] = [actors[letter], *line.split()]
    return {
        "commands": commands,
        "next": following,
        "done": {letter: following[letter] is None for letter in "kxs"},
        "rules": {"ipv4": "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n", "ipv6": ""},
        "saved": {},
        **changes,
    }


ROOT = state.read(view(waiting={"k": "iptables -N A", "s": "iptables-save"}), None)


def test_the_same_steps_and_rules_are_the_same_state() -> None:
    one, other = (state.read(view("k iptables -N A", "s iptables -F"), ROOT) for _ in range(2))
    swapped = state.read(view("s iptables -F", "k iptables -N A"), ROOT)
    assert one.key == other.key == swapped.key


def test_counters_and_comments_make_no_other_state() -> None:
    counted = {"ipv4": "# later\n*filter\n:INPUT ACCEPT [7:9]\nCOMMIT\n", "ipv6": ""}
    assert state.read(view(rules=counted), ROOT).key == state.read(view(), ROOT).key


@pytest.mark.parametrize(
    "other",
    [
        view("k iptables -N A", "k iptables -N B"),
        view("k iptables -N A", rules={"ipv4": "*filter\n:A - [0:0]\nCOMMIT\n", "ipv6": ""}),
        view("k iptables -N A", rules={"ipv4": "", "ipv6": "", "ipv4/legacy": "*nat\nCOMMIT\n"}),
        view("k iptables -N A", saved={"ipv4": "*filter\nCOMMIT\n"}),
        view("k iptables -N A", waiting={"s": "iptables -F"}),
    ],
)
def test_another_history_rule_file_backend_or_next_step_is_another_state(
    other: dict[str, Any],
) -> None:
    assert state.read(other, ROOT).key != state.read(view("k iptables -N A"), ROOT).key


def test_an_exit_code_is_part_of_the_state() -> None:
    failed = view("k iptables -N A")
    failed["commands"][0]["code"] = 1
    assert state.read(failed, ROOT).key != state.read(view("k iptables -N A"), ROOT).key


def test_what_the_script_may_have_read_is_part_of_the_state() -> None:
    """It may act on it later: two files that differ are two states, wherever they lie."""
    more = state.read(view(rules={"ipv4": "*filter\n:A - [0:0]\nCOMMIT\n", "ipv6": ""}), None)
    assert state.read(view("s iptables-save"), ROOT).key != (
        state.read(view("s iptables-save"), more).key
    )
    # kubelet looks at exit codes alone.
    assert (
        state.read(view("k iptables -S"), ROOT).key == state.read(view("k iptables -S"), more).key
    )


def test_a_view_that_does_not_continue_the_state_is_refused() -> None:
    before = state.read(view("k iptables -N A"), ROOT)
    with pytest.raises(ValueError, match="was known"):
        state.read(view("k iptables -N B"), before)
    with pytest.raises(ValueError, match="has not made"):
        state.read(view("s iptables -F"), before)


def calls(*lines: str) -> tuple[Call, ...]:
    return tuple(Call("kubelet", line.split()[0], tuple(line.split()[1:])) for line in lines)


def plan() -> Plan:
    known = Plan()
    known.learn("k", calls("iptables -C A -j B", "iptables -I A -j B", "iptables -t nat -N C"))
    return known


def test_what_an_actor_may_still_do_shrinks_as_it_goes_on() -> None:
    begun = state.read(view(waiting={"k": "iptables -C A -j B"}), None)
    later = state.read(
        view("k iptables -C A -j B", "k iptables -I A -j B", waiting={"k": "iptables -t nat -N C"}),
        None,
    )
    jump = footprint(calls("iptables -I A -j B")[0])
    assert plan().future("k", begun).conflicts(jump)
    assert not plan().future("k", later).conflicts(jump)


def test_an_actor_that_has_ended_does_nothing_more() -> None:
    assert plan().future("k", state.read(view("k iptables -C A -j B"), None)) == Footprint()


def test_steps_may_be_left_out_but_none_added() -> None:
    skipped = state.read(view("k iptables -C A -j B", waiting={"k": "iptables -t nat -N C"}), None)
    odd = state.read(view("k iptables -C A -j B", waiting={"k": "iptables -X"}), None)
    assert plan().knows("k", skipped)
    assert not plan().knows("k", odd)


def test_an_unknown_history_may_be_followed_by_anything() -> None:
    odd = state.read(view("k iptables -X", waiting={"k": "iptables -F"}), None)
    assert plan().future("k", odd) == EVERYTHING


def test_steps_that_matter_to_nobody_are_made_at_once() -> None:
    begun = state.read(view(waiting={"k": "iptables -C A -j B"}), None)
    assert len(plan().run("k", begun, Footprint())) == 3
    only_nat = footprint(calls("iptables -t nat -X")[0])
    assert len(plan().run("k", begun, only_nat)) == 2
    filter_too = footprint(calls("iptables -F")[0])
    assert len(plan().run("k", begun, filter_too)) == 1
    assert len(plan().run("k", begun, EVERYTHING)) == 1
