"""What a state of the node is, and when two are the same."""

from collections.abc import Mapping
from typing import Any

import pytest

from chainrace.model.actors import SCRIPT_LANES, owner
from chainrace.model.trial import Call
from chainrace.search import state
from chainrace.search.state import GOES_ON, Answer, Local, Made, State
from chainrace.search.step import EVERYTHING, footprint

ACTORS = {"k": "kubelet", "x": "kubelet"}
IPV4 = "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"


def words(lane: str, line: str, **more: Any) -> dict[str, Any]:
    """A command as the gate tells it: `iptables -N A`."""
    program, *arguments = line.split()
    plain = {"kind": "", "foreign": False, "input": "", "output": "", "exe": ""}
    actor = ACTORS.get(lane, "script")
    return {"actor": actor, "program": program, "arguments": arguments, **plain, **more}


def step(line: str, code: int | None = 0, out: str = "", **more: Any) -> dict[str, Any]:
    """A step that has ended with a code: `s iptables -F`; its answers are filled in by `view`."""
    lane, _, rest = line.partition(" ")
    own = ("answers", "wrote", "read", "looked", "before")
    changes: dict[str, Any] = {name: more.pop(name) for name in own if name in more}
    made = {
        "lane": lane,
        "code": code,
        "before": None,
        "wrote": "",
        "read": False,
        "looked": [],
        **words(lane, rest, **more),
    }
    return {**made, "out": out, **changes}


def view(
    *steps: str | dict[str, Any], waiting: Mapping[str, str] | None = None, **changes: Any
) -> Any:
    """What the agent shows after these steps; `waiting` is a line for each lane."""
    commands = []
    for number, one in enumerate(step(one) if isinstance(one, str) else one for one in steps):
        said = {"step": number, "code": one["code"], "out": one.pop("out", "")}
        told = one["lane"] not in "kx" and one["code"] is not None
        commands.append({"answers": [said] if told else [], **one})
    following = waiting or {}
    return {
        "commands": commands,
        "next": {lane: words(lane, line) for lane, line in following.items()},
        "done": {lane: lane not in following for lane in "kxs"},
        "rules": {"ipv4": IPV4, "ipv6": ""},
        "lock": "",
        "programs": [],
        "stopped": False,
        **changes,
    }


ROOT = state.read(view(waiting={"k": "iptables -N A", "s": "iptables-save"}), None)


def test_the_same_steps_and_rules_are_the_same_state_in_whatever_order_they_came() -> None:
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
        view("k iptables -N A", rules={"ipv4": IPV4, "ipv6": "", "nft/inet mine": "table"}),
        view("k iptables -N A", rules={"ipv4": IPV4, "ipv6": "", "ipset": "create a"}),
        view("k iptables -N A", waiting={"s": "iptables -F"}),
        view("k iptables -N A", waiting={"t": "iptables -F"}),
        view("k iptables -N A", lock="script"),
        view("k iptables -N A", programs=["/usr/sbin/xtables-legacy-multi"]),
        view("k iptables -N A", done={"k": False, "x": True, "s": True}),
        view(step("k iptables -N A", 1)),
        view(step("k iptables -N A", exe="xtables-legacy-multi")),
    ],
)
def test_another_history_rule_backend_lock_program_or_next_step_is_another_state(
    other: Any,
) -> None:
    assert state.read(other, ROOT).key != state.read(view("k iptables -N A"), ROOT).key


def test_the_order_of_rules_is_part_of_the_state() -> None:
    def of(*rules: str) -> str:
        text = "".join(("*filter\n:INPUT ACCEPT [0:0]\n:A - [0:0]\n", *rules, "COMMIT\n"))
        return state.read(view(rules={"ipv4": text, "ipv6": ""}), ROOT).key

    accept, jump = "-A INPUT -j ACCEPT\n", "-A INPUT -j KUBE-FIREWALL\n"
    assert of(accept, jump) != of(jump, accept)
    assert of(accept) != of(accept, accept)


@pytest.mark.parametrize(
    "other",
    [
        step("s iptables-save", 1),
        step("s iptables-save", 0, "another text"),
        step("s iptables-save", None),
        step("s iptables-save", 0, "a text", wrote="a file"),
        step("s iptables-save", 0, "a text", output="pipe"),
        step("s iptables-save", 0, "a text", input="file"),
        step("s iptables-save", 0, "a text", foreign=True),
        step("s iptables-save", 0, "a text", kind="shell"),
        step("t iptables-save", 0, "a text"),
    ],
)
def test_what_the_script_was_answered_and_wrote_is_part_of_the_state(
    other: dict[str, Any],
) -> None:
    told = view(step("s iptables-save", 0, "a text"))
    assert state.read(view(other), ROOT).key != state.read(told, ROOT).key


def test_what_the_script_might_have_seen_but_was_not_told_is_no_part_of_it() -> None:
    more = {"ipv4": "*filter\n:A - [0:0]\nCOMMIT\n", "ipv6": ""}
    told, other = view("s iptables -S"), view("s iptables -S", rules=more)
    one, two = state.read(told, ROOT), state.read(other, ROOT)
    assert one.place("s").key == two.place("s").key
    assert one.key != two.key


def test_an_answer_that_comes_with_a_later_step_stands_there_and_names_its_own() -> None:
    shell = step("s sh -c x", None, kind="shell")
    last = step("s iptables -F", 0, answers=[{"step": 0, "code": 3, "out": ""}])
    made = state.read(view(shell, last), None).histories["s"]
    assert made[0].answers == ()
    assert made[0].own(0) is None
    assert made[1].answers == (Answer(0, 3, ""),)
    assert made[1].own(1) is None


def test_answers_are_counted_in_the_history_of_their_own_actor() -> None:
    made = state.read(view("k iptables -N A", "s iptables -F", "k iptables -N B"), None)
    assert made.histories["s"][0].own(0) == Answer(0, 0, "")
    assert [one.own(at) for at, one in enumerate(made.histories["k"])] == [
        Answer(0, 0),
        Answer(1, 0),
    ]


def test_of_kubelets_own_processes_the_exit_code_counts_alone() -> None:
    """It looks at nothing else (iptables.go)."""
    silent, telling = step("k iptables -S A"), step("k iptables -S A", output="")
    telling["answers"] = []
    assert state.read(view(silent), ROOT).key == state.read(view(telling), ROOT).key


def test_a_step_of_kubelets_that_lets_the_script_go_on_is_in_both_histories() -> None:
    waits = step("s systemctl is-system-running --wait", None)
    begins = step("k iptables -N A", 0, answers=[{"step": 0, "code": 0, "out": ""}])
    seen = state.read(view(waits, begins), None)
    assert seen.histories["k"] == (
        Made("k", Call.of(words("k", "iptables -N A")), (Answer(0, 0),)),
    )
    assert seen.histories["s"][1] == Made("s", Call("s", GOES_ON, ()), (Answer(0, 0),))


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (view("k iptables -N B"), "-N B ended with 0 where iptables -N A ended with 0 was known"),
        (view("s iptables -F"), "kubelet has not made the steps that it made before"),
        (view(step("k iptables -N A", 2)), "ended with 2 where iptables -N A ended with 0"),
    ],
)
def test_a_view_that_does_not_continue_the_state_is_refused(after: Any, told: str) -> None:
    before = state.read(view("k iptables -N A"), ROOT)
    with pytest.raises(ValueError, match=told):
        state.read(after, before)


def test_a_lane_that_was_to_step_and_did_not_does_not_continue_the_state() -> None:
    before = state.read(view(waiting={"k": "iptables -N A", "s": "iptables -S"}), ROOT)
    others = view("s iptables -S", waiting={"x": "ip6tables -N A"})
    with pytest.raises(ValueError, match=r"k was to make .*-N A.* and did not \(x at ip6tables\)"):
        state.read(others, before, "k")
    assert state.read(others, before, "s").histories["s"]


def test_a_look_of_a_shell_is_part_of_the_history() -> None:
    one, other = (
        state.read(view(step("s iptables -S", looked=[f"/var/lib/kubelet/pki: {answer}"])), ROOT)
        for answer in (0, -2)
    )
    assert one.key != other.key
    by_kubelet = state.read(view(step("k iptables -S", looked=["port 10248: -111"])), ROOT)
    assert [made.looked for made in by_kubelet.histories["s"]] == [("port 10248: -111",)]


def test_a_script_that_is_told_something_else_does_not_continue_the_state() -> None:
    before = state.read(view(step("s iptables-save", 0, "a")), ROOT)
    with pytest.raises(ValueError, match=r"ended with 0 \(b\) where .* ended with 0 \(a\)"):
        state.read(view(step("s iptables-save", 0, "b")), before)


def test_an_end_is_told_by_rules_and_kubelets_answers_and_not_by_the_scripts() -> None:
    done = ("k iptables -N A", "x ip6tables -N A")
    one = state.read(view(*done, "s iptables -S"), None)
    assert one.left(["ipv4"], "k") == state.read(view(*done), None).left(["ipv4"], "k")
    for other in (
        view(step("k iptables -N A", 1)),
        view("k iptables -N B"),
        view(*done, rules={"ipv4": "", "ipv6": ""}),
        view(*done, rules={"ipv4": IPV4, "ipv6": "", "nft/inet mine": "table"}),
        view(*done, rules={"ipv4": IPV4, "ipv6": "", "ipset": "create a"}),
    ):
        assert state.read(other, None).left(["ipv4"], "k") != one.left(["ipv4"], "k")


def test_an_end_of_one_family_is_not_told_by_the_other() -> None:
    one = state.read(view("k iptables -N A"), None)
    rules = {"ipv4": IPV4, "ipv6": "*filter\nCOMMIT\n"}
    other = state.read(view("k iptables -N A", "x ip6tables -N A", rules=rules), None)
    assert one.left(["ipv4"], "k") == other.left(["ipv4"], "k")
    assert one.left(["ipv6"], "x") != other.left(["ipv6"], "x")
    assert one.left(["ipv4", "ipv6"], "kx") != other.left(["ipv4", "ipv6"], "kx")


def test_an_end_that_the_other_is_judged_by_is_told_by_its_answers() -> None:
    one = state.read(view("k iptables -N A", "s iptables -S"), None)
    other = state.read(view("k iptables -N A", step("s iptables -S", 1)), None)
    assert one.left(["ipv4"], "k") == other.left(["ipv4"], "k")
    assert one.left(["ipv4"], "s") != other.left(["ipv4"], "s")


def test_what_differs_is_named() -> None:
    other = view("k iptables -N A", waiting={"s": "iptables -F"}, rules={"ipv4": "", "ipv6": ""})
    assert ROOT.differing(state.read(other, None)) == (
        "rules ipv4/filter",
        "waiting k",
        "waiting s",
        "ended k",
        "histories k",
    )


def test_a_state_with_another_place_of_one_actor_is_what_reading_it_gives() -> None:
    after = state.read(view("s iptables -F", waiting={"k": "iptables -N A"}), None)
    put = ROOT.with_place(after.place("s"), "s", after.rules)
    assert put == after
    assert put.key == after.key
    assert put.place("k").key == ROOT.place("k").key


def test_the_script_may_wait_in_several_lanes_and_has_one_history() -> None:
    seen = state.read(
        view("s iptables -F", "t iptables -X", waiting={"s": "sleep 1", "u": "sleep 2"}), None
    )
    assert [made.lane for made in seen.histories["s"]] == ["s", "t"]
    assert seen.place("u").waiting.keys() == {"s", "u"}
    assert {owner(lane) for lane in SCRIPT_LANES} == {"s"}
    assert (owner("k"), owner("x")) == ("k", "x")


def test_each_step_of_a_run_has_the_place_before_and_after_it() -> None:
    looks = [
        {"next": {lane: words(lane, line) for lane, line in waiting.items()}, "done": done}
        for waiting, done in (
            ({"k": "kubelet begins", "s": "script begins"}, dict.fromkeys("kxs", False)),
            ({"k": "kubelet begins", "s": "iptables -F"}, dict.fromkeys("kxs", False)),
            ({"k": "iptables -N A", "s": "iptables -F"}, dict.fromkeys("kxs", False)),
        )
    ]
    lines = ("s script begins", "k kubelet begins", "s iptables -F")
    steps = [step(line, before=look) for line, look in zip(lines, looks, strict=True)]
    found = state.places(view(*steps, waiting={"k": "iptables -N A"}))
    assert [lane for lane, _, _ in found] == ["s", "k", "s"]
    assert found[0][2].key == found[2][1].key
    assert found[0][1].histories == {"s": ()}
    assert found[1][1].waiting == {"k": Call.of(words("k", "kubelet begins"))}
    assert found[1][2].waiting == {"k": Call.of(words("k", "iptables -N A"))}
    _, _, last = found[2]
    assert [str(made.call) for made in last.histories["s"]] == ["script begins", "iptables -F"]
    assert last.ended == {"s": True}


def test_a_place_is_told_by_its_history_what_it_waits_for_and_whether_it_has_ended() -> None:
    made = Made("s", Call("script", "sleep", ("1",)), (Answer(0, 0),))
    call = Call("script", "sleep", ("2",))
    places = [
        Local({"s": ()}, {}, {"s": False}),
        Local({"s": (made,)}, {}, {"s": False}),
        Local({"s": (made,)}, {"s": call}, {"s": False}),
        Local({"s": (made,)}, {"t": call}, {"s": False}),
        Local({"s": (made,)}, {}, {"s": True}),
    ]
    assert len({one.key for one in places}) == len(places)


def test_a_digest_stands_for_values_not_for_how_they_are_written() -> None:
    assert state.digest({"a": 1, "b": [2]}) == state.digest({"b": [2], "a": 1})
    assert state.digest([1, 2]) != state.digest([2, 1])
    assert len(state.digest("")) == 16


def read(*steps: str | dict[str, Any], before: State | None = None, **more: Any) -> State:
    """The state that such a view shows."""
    return state.read(view(*steps, **more), before)


def test_a_step_beside_a_program_that_is_not_understood_may_touch_everything() -> None:
    """What python looks at and does between its children's steps, no process tells."""
    python, change = step("s python3 x.py", None), step("s iptables -A FORWARD -j DROP")
    seen = state.read(view(python, change, waiting={"s": "iptables -N A"}), None)
    alone = state.read(view(change, waiting={"s": "iptables -N A"}), None)
    assert footprint(seen.histories["s"][1].call) == EVERYTHING
    assert footprint(seen.waiting["s"]) == EVERYTHING
    assert footprint(alone.waiting["s"]) != EVERYTHING


def test_one_that_has_ended_or_is_a_shell_or_waits_alone_is_beside_nothing() -> None:
    ended = [step("s python3 x.py"), step("s iptables -F")]
    shell = [step("s sh -c x", None, kind="shell"), step("s iptables -F")]
    known = [step("s systemctl restart iptables", None), step("s iptables -F")]
    for steps in (ended, shell, known):
        assert not state.read(view(*steps), None).histories["s"][1].call.beside
