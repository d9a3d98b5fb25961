"""What one step on the node stands for, and what it does not."""

from typing import Any

import pytest

from chainrace.search.effects import (
    ContradictionError,
    DiffersError,
    Effect,
    Effects,
    Follow,
    Whole,
)
from chainrace.search.footprints import Footprints
from chainrace.search.state import State
from chainrace.search.step import EVERYTHING
from tests.unit.test_state import IPV4, read, step, words

EMPTY = IPV4
MADE = "*filter\n:INPUT ACCEPT [0:0]\n:A - [0:0]\nCOMMIT\n"
NAT = "*nat\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
NEXT = {"k": "iptables -N A", "s": "iptables -t nat -F"}


def seen(*steps: str | dict[str, Any], rules: str = EMPTY, **more: Any) -> State:
    return read(*steps, rules={"ipv4": rules, "ipv6": ""}, **more)


def effects() -> Effects:
    return Effects(Footprints())


def learned() -> Effects:
    """kubelet makes a chain in filter."""
    found = effects()
    origin = seen(waiting=NEXT)
    found.learn(origin, "k", seen("k iptables -N A", rules=MADE, waiting={"s": NEXT["s"]}))
    return found


def inferred(found: Effects, origin: State, lane: str) -> str | None:
    target = found.infer(origin, lane)
    return None if target is None else target.key


def test_a_step_is_known_wherever_its_tables_are_the_same() -> None:
    elsewhere = seen(
        "s iptables -t nat -F", rules=EMPTY + NAT, waiting={"k": NEXT["k"], "s": "iptables -F"}
    )
    walked = seen(
        *("s iptables -t nat -F", "k iptables -N A"),
        rules=MADE + NAT,
        waiting={"s": "iptables -F"},
    )
    assert inferred(learned(), elsewhere, "k") == walked.key


def test_it_is_not_known_on_another_table_nor_after_another_history() -> None:
    found = learned()
    assert found.infer(seen(rules=MADE, waiting=NEXT), "k") is None
    assert found.infer(seen("k iptables --version", waiting=NEXT), "k") is None
    assert found.infer(seen(waiting=NEXT), "s") is None
    assert found.infer(seen(waiting={"s": NEXT["s"]}), "k") is None


@pytest.mark.parametrize("lock", ["", "kubelet"])
def test_it_is_not_known_where_another_holds_the_lock_or_names_mean_other_programs(
    lock: str,
) -> None:
    known = learned().infer(seen(waiting=NEXT, lock=lock), "k")
    assert (known is None) is bool(lock)
    assert learned().infer(seen(waiting=NEXT, programs=["legacy"]), "k") is None


@pytest.mark.parametrize(
    ("line", "part"), [("nft list table inet mine", "nft/inet mine"), ("ipset list", "ipset")]
)
def test_what_it_reads_of_native_tables_and_of_sets_must_be_the_same(line: str, part: str) -> None:
    def among(text: str, *steps: str, **more: Any) -> State:
        rules = {"ipv4": EMPTY, "ipv6": "", part: text, "nft/inet other": "other"}
        return read(*steps, rules=rules, **more)

    waiting = {"s": line, "k": NEXT["k"]}
    found = effects()
    found.learn(
        among("one", waiting=waiting), "s", among("one", f"s {line}", waiting={"k": NEXT["k"]})
    )
    assert found.infer(among("one", waiting=waiting), "s") is not None
    assert found.infer(among("another", waiting=waiting), "s") is None


def test_what_it_does_not_read_of_sets_may_be_another() -> None:
    found = learned()
    with_sets = {"ipv4": EMPTY, "ipv6": "", "ipset": "one", "nft/inet mine": "one"}
    assert found.infer(read(rules=with_sets, waiting=NEXT), "k") is not None


def test_it_is_not_known_where_the_other_backend_has_such_a_table() -> None:
    other = {"ipv4": EMPTY, "ipv6": "", "ipv4/legacy": MADE}
    assert learned().infer(read(rules=other, waiting=NEXT), "k") is None
    far = {"ipv4": EMPTY, "ipv6": "", "ipv4/legacy": NAT}
    assert learned().infer(read(rules=far, waiting=NEXT), "k") is not None


def test_what_the_same_command_does_is_known_of_whoever_runs_it() -> None:
    """Its effect by the tables, what comes then by who runs it and where that one was."""
    found = effects()
    for lane, other in (("s", "k"), ("k", "s")):
        origin = seen(waiting={lane: "iptables -N A", other: "iptables -S"})
        target = seen(f"{lane} iptables -N A", rules=MADE, waiting={other: "iptables -S"})
        assert found.infer(origin, lane) is None  # not where it goes on
        found.learn(origin, lane, target)
        assert inferred(found, origin, lane) == target.key


def after_save(out: str, rules: str = EMPTY, **more: Any) -> State:
    saved = step("s iptables-save", 0, out, output="file")
    return seen(saved, rules=rules, **{"waiting": {"s": "iptables-restore"}, **more})


def restored(out: str, rules: str) -> State:
    saved = step("s iptables-save", 0, out, output="file")
    return seen(saved, "s iptables-restore", rules=rules)


def test_a_restore_is_known_only_where_its_script_was_told_the_same_before() -> None:
    found = effects()
    found.learn(after_save("empty"), "s", restored("empty", EMPTY))
    assert inferred(found, after_save("empty"), "s") == restored("empty", EMPTY).key
    assert found.infer(after_save("with A"), "s") is None
    assert found.infer(seen(waiting={"s": "iptables-restore"}), "s") is None


def test_what_the_script_wrote_decides_what_a_restore_brings_back() -> None:
    found = effects()
    cut = step("s cut x", 0, wrote="one file")
    waits = {"s": "iptables-restore"}
    found.learn(seen(cut, waiting=waits), "s", seen(cut, "s iptables-restore", rules=MADE))
    other = step("s cut x", 0, wrote="another file")
    assert found.infer(seen(other, waiting=waits), "s") is None


def test_a_command_that_reads_a_pipe_is_not_known_by_its_tables_alone() -> None:
    """`grep -q A` of what `iptables-save` wrote: the same tables by now, another answer."""

    def of(out: str) -> State:
        return seen(
            step("s iptables-save", 0, out, output="step"), waiting={"s": "iptables-restore -n"}
        )

    found = effects()
    target = seen(
        step("s iptables-save", 0, "with A", output="step"), "s iptables-restore -n", rules=MADE
    )
    found.learn(of("with A"), "s", target)
    assert found.infer(of("with A"), "s") is not None
    assert found.infer(of("empty"), "s") is None


@pytest.mark.parametrize(("told", "known"), [("pipe", False), ("", True)])
def test_the_same_command_into_a_pipe_and_into_nothing_are_two(told: str, known: bool) -> None:  # noqa: FBT001
    found = effects()
    origin = seen(waiting={"s": "iptables-save"})
    found.learn(origin, "s", seen("s iptables-save"))
    waits = {"s": words("s", "iptables-save", output=told)}
    other = seen(next=waits, done={"k": True, "x": True, "s": False})
    assert (found.infer(other, "s") is not None) is known


def test_after_another_answer_it_is_not_known_how_its_actor_goes_on() -> None:
    """The command is known by its tables; its answer here is that of these tables."""
    found = effects()
    waits = {"s": "iptables -C INPUT -j A"}
    found.learn(seen(waiting=waits), "s", seen(step("s iptables -C INPUT -j A", 1)))
    found.learn(
        seen(rules=MADE, waiting=waits),
        "s",
        seen(step("s iptables -C INPUT -j A", 0), rules=MADE, waiting={"s": "iptables -F"}),
    )
    assert "s" not in (found.infer(seen(waiting=waits), "s") or seen()).waiting
    there = found.infer(seen(rules=MADE, waiting=waits), "s")
    assert there is not None
    assert str(there.waiting["s"]) == "iptables -F"
    assert there.histories["s"][0].answers[0].code == 0


def test_one_that_looks_at_kubelet_is_known_only_where_kubelet_is_the_same() -> None:
    found = effects()
    waits = {"s": "systemctl is-active kubelet"}
    told = step("s systemctl is-active kubelet", 3, "inactive")
    found.learn(seen(waiting=waits), "s", seen(told))
    assert found.infer(seen(waiting=waits), "s") is not None
    assert found.infer(seen("k kubelet begins", waiting=waits), "s") is None


def test_kubelets_own_start_is_known_wherever_the_script_is() -> None:
    found = effects()
    waits = {"k": "kubelet begins", "s": "iptables -F"}
    begun = {"k": "iptables -N A", "s": "iptables -F"}
    found.learn(seen(waiting=waits), "k", seen("k kubelet begins", waiting=begun))
    later = seen("s iptables -F", waiting={"k": "kubelet begins"})
    walked = seen("s iptables -F", "k kubelet begins", waiting={"k": "iptables -N A"})
    assert inferred(found, later, "k") == walked.key


@pytest.mark.parametrize("line", ["k kubelet begins", "k iptables -N A"])
def test_what_kubelet_does_after_something_that_is_not_understood_is_not_known(line: str) -> None:
    """It may have changed its unit, its configuration, or the program that it runs."""
    found = effects()
    waits = {"k": line[2:], "s": "perl change-all"}
    after = {"k": "iptables -N B", "s": "perl change-all"}
    found.learn(seen(waiting=waits), "k", seen(line, waiting=after))
    assert found.infer(seen("s perl change-all", waiting={"k": line[2:]}), "k") is None


def test_a_step_that_changed_what_it_does_not_name_is_refused() -> None:
    origin = seen(waiting=NEXT)
    target = seen("k iptables -N A", rules=MADE + NAT, waiting={"s": NEXT["s"]})
    with pytest.raises(ContradictionError, match="-N A changed more than it touches: ipv4/nat"):
        effects().learn(origin, "k", target)


def test_a_step_that_moved_the_other_actor_is_refused() -> None:
    origin = seen(waiting=NEXT)
    target = seen("k iptables -N A", rules=MADE, waiting={"s": "iptables -F"})
    with pytest.raises(ContradictionError, match="another actor"):
        effects().learn(origin, "k", target)


def test_a_step_that_once_did_something_else_is_refused() -> None:
    other = seen("k iptables -N A", rules=EMPTY, waiting={"s": NEXT["s"]})
    with pytest.raises(DiffersError, match=r"same circumstances before: .* rules: ipv4/filter"):
        learned().learn(seen(waiting=NEXT), "k", other)
    other = seen(step("k iptables -N A", 1), rules=EMPTY, waiting={"s": NEXT["s"]})
    with pytest.raises(DiffersError, match="it ended with 1, before with 0"):
        learned().learn(seen(waiting=NEXT), "k", other)


def test_an_actor_that_goes_on_differently_after_the_same_is_refused() -> None:
    target = seen("k iptables -N A", rules=MADE, waiting={"k": "iptables -N B", "s": NEXT["s"]})
    with pytest.raises(DiffersError, match=r"k then waits for .*-N B, before for nothing"):
        learned().learn(seen(waiting=NEXT), "k", target)


def test_what_is_not_understood_is_kept_as_a_whole_and_only_for_that_state() -> None:
    found = effects()
    waits = {"s": "perl x", "k": "iptables -N A"}
    target = seen("s perl x", rules=MADE + NAT, waiting={"k": "iptables -N A"})
    (whole,) = found.learn(seen(waiting=waits), "s", target)
    assert isinstance(whole, Whole)
    assert inferred(found, seen(waiting=waits), "s") == target.key
    assert found.infer(seen(rules=EMPTY + NAT, waiting=waits), "s") is None
    assert found.infer(seen("k kubelet begins", waiting=waits), "s") is None
    with pytest.raises(DiffersError, match="something else in the same state"):
        found.learn(seen(waiting=waits), "s", seen("s perl x", waiting={"k": "iptables -N A"}))


def test_what_is_widened_is_no_longer_known_by_its_tables() -> None:
    found = learned()
    origin = seen(waiting=NEXT)
    assert found.footprints.widen(origin.waiting["k"])
    assert found.infer(origin, "k") is None
    target = seen("k iptables -N A", rules=MADE + NAT, waiting={"s": NEXT["s"]})
    (whole,) = found.learn(origin, "k", target)
    assert isinstance(whole, Whole)
    assert inferred(found, origin, "k") == target.key


def test_what_comes_along_of_kubelets_other_lane_belongs_to_the_step() -> None:
    found = effects()
    origin = seen(waiting={"k": "iptables -N A", "x": "ip6tables -N A"})
    target = seen("x ip6tables -N A", "k iptables -N A", rules=MADE)
    one, two = found.learn(origin, "k", target)
    assert isinstance(one, Effect)
    assert isinstance(two, Follow)
    assert found.footprints.of(origin.waiting["k"]).writes >= {"ipv6/filter/chains"}
    assert inferred(found, origin, "k") == target.key


def test_another_process_that_ends_with_a_step_is_part_of_where_its_actor_is_then() -> None:
    shell = step("s sh -c x", None, kind="shell")
    last = step("s iptables -t nat -F", None)
    last["answers"] = [{"step": 1, "code": 0, "out": ""}, {"step": 0, "code": 7, "out": ""}]
    found = effects()
    origin = seen(shell, waiting={"s": "iptables -t nat -F"})
    target = seen(shell, last)
    found.learn(origin, "s", target)
    walked = found.infer(origin, "s")
    assert walked is not None
    assert walked.key == target.key
    assert [said.code for said in walked.histories["s"][1].answers] == [0, 7]


def test_who_holds_the_lock_after_the_scripts_step_is_learned_with_it() -> None:
    found = effects()
    waits = {"s": "flock /run/xtables.lock sleep 9"}
    target = seen("s flock /run/xtables.lock sleep 9", lock="script")
    found.learn(seen(waiting=waits), "s", target)
    assert inferred(found, seen(waiting=waits), "s") == target.key


def test_what_was_learned_is_kept_as_well_by_another_that_is_told_it() -> None:
    origin = seen(waiting=NEXT)
    target = seen("k iptables -N A", rules=MADE, waiting={"s": NEXT["s"]})
    other = effects()
    for one in learned().learn(origin, "k", target):
        other.keep(one)
    assert inferred(other, origin, "k") == target.key
    whole = seen(waiting={"s": "perl x"})
    for one in effects().learn(whole, "s", seen("s perl x", rules=MADE)):
        other.keep(one)
    assert other.infer(whole, "s") is not None


def test_everything_is_what_is_not_understood() -> None:
    for line in ("perl x", "iptables --new-fangled", "cp a /usr/sbin/iptables"):
        waits = {"s": line}
        assert Footprints().of(seen(waiting=waits).waiting["s"]) == EVERYTHING


def test_how_it_goes_on_is_known_only_where_names_mean_the_same_programs() -> None:
    """What a step does is known with either meaning, what comes after it with one."""
    found = effects()
    first, after = "iptables -t nat -F", {"s": "iptables -S", "k": NEXT["k"]}
    waiting = {"s": first, "k": NEXT["k"]}
    found.learn(
        seen(waiting=waiting, programs=["nft"]),
        "s",
        seen(f"s {first}", waiting=after, programs=["nft"]),
    )
    # After another history, with the other meaning.
    found.learn(
        seen("s sleep 1", waiting=waiting, programs=["legacy"]),
        "s",
        seen("s sleep 1", f"s {first}", waiting=after, programs=["legacy"]),
    )
    assert found.infer(seen(waiting=waiting, programs=["nft"]), "s") is not None
    assert found.infer(seen(waiting=waiting, programs=["legacy"]), "s") is None
