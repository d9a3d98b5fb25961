"""A replay step by step: who changed what, and which step did the harm."""

from typing import Any

from chainrace.judge.outcome import FamilyOutcome, Outcome
from chainrace.judge.timeline import Happened, timeline
from chainrace.model.mode import HEALTHY, INIT_FAILED, RULES_LOST
from chainrace.model.rules import RuleSet
from chainrace.subjects.kubelet.modes import GUARD_OPEN

EMPTY = "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"
CHAIN = EMPTY.replace("COMMIT", ":KUBE-FIREWALL - [0:0]\nCOMMIT")
JUMP = CHAIN.replace("COMMIT", "-A INPUT -j KUBE-FIREWALL\nCOMMIT")
REFERENCE = {
    "ipv4": RuleSet(frozenset({"filter :KUBE-FIREWALL", "filter -A INPUT -j KUBE-FIREWALL"})),
    "ipv6": RuleSet(frozenset({"filter :KUBE-FIREWALL"})),
}


def command(lane: str, line: str, at: float, code: int | None = 0) -> dict[str, Any]:
    program, *arguments = line.split()
    actor = "kubelet" if lane in "kx" else "script"
    ended = None if code is None else 10 + at + 0.5
    about = {"lane": lane, "actor": actor, "program": program, "arguments": arguments}
    return about | {"started": 10 + at, "ended": ended, "code": code}


def steps(
    *made: tuple[dict[str, Any], str],
    name: str = RULES_LOST,
    six: str = HEALTHY,
    judged: str = "k",
) -> tuple[Happened, ...]:
    """A timeline of commands, each with the IPv4 rules after it."""
    left = [(0, {"ipv4": EMPTY, "ipv6": EMPTY})]
    left += [(at, {"ipv4": rules, "ipv6": EMPTY}) for at, (_, rules) in enumerate(made, start=1)]
    families = {"ipv4": FamilyOutcome((name,)), "ipv6": FamilyOutcome((six,))}
    view: Any = {"commands": [one for one, _ in made], "left": left}
    outcome = Outcome(families, signature=False, detected_by=None)
    return timeline(view, outcome, REFERENCE, judged)


N = command("k", "iptables -N KUBE-FIREWALL", 0.0)
I = command("k", "iptables -I INPUT -j KUBE-FIREWALL", 1.0)  # noqa: E741
FLUSH = command("s", "iptables -F", 2.0)


def test_each_step_has_what_it_added_and_what_it_took_away() -> None:
    made, jumped, flushed = steps((N, CHAIN), (I, JUMP), (FLUSH, CHAIN))
    assert made.added == ("ipv4 filter :KUBE-FIREWALL -",)
    assert jumped.added == ("ipv4 filter -A INPUT -j KUBE-FIREWALL",)
    assert flushed.removed == ("ipv4 filter -A INPUT -j KUBE-FIREWALL",)
    assert (made.removed, flushed.added) == ((), ())
    assert (flushed.lane, flushed.actor, flushed.command) == ("s", "script", "iptables -F")
    assert (flushed.begins, flushed.ends, flushed.code) == (2.0, 2.5, 0)


def test_the_step_that_takes_what_is_kubelets_does_the_harm() -> None:
    assert [one.harms for one in steps((N, CHAIN), (I, JUMP), (FLUSH, CHAIN))] == [0, 0, 1]


def test_a_chain_that_is_taken_is_harm_too() -> None:
    deleted = command("t", "iptables -X", 2.0)
    assert [one.harms for one in steps((N, CHAIN), (deleted, EMPTY))] == [False, True]


def test_what_kubelet_itself_or_nobody_takes_is_no_harm() -> None:
    own = command("k", "iptables -F KUBE-FIREWALL", 2.0)
    assert not any(one.harms for one in steps((N, CHAIN), (I, JUMP), (own, CHAIN)))
    added = command("s", "iptables -N MINE", 2.0)
    mine = CHAIN.replace("COMMIT", ":MINE - [0:0]\nCOMMIT")
    gone = command("s", "iptables -X MINE", 3.0)
    assert not any(one.harms for one in steps((N, CHAIN), (added, mine), (gone, CHAIN)))


def test_where_the_other_is_judged_kubelets_step_does_the_harm() -> None:
    made = ((command("s", "iptables -I INPUT", 0.0), JUMP), (command("k", "iptables -F", 1), CHAIN))
    assert [one.harms for one in steps(*made, judged="s")] == [False, True]
    assert not any(one.harms for one in steps(*made))
    failed = (command("s", "iptables -C INPUT", 2.0, code=2), CHAIN)
    assert [one.fails for one in steps(*made, failed, name=INIT_FAILED, judged="s")] == [0, 0, 1]


def test_what_opens_the_guard_does_the_harm_where_nothing_was_taken() -> None:
    opens = command("s", "iptables -I INPUT -j ACCEPT", 2.0)
    above = JUMP.replace("-A INPUT", "-A INPUT -j ACCEPT\n-A INPUT", 1)
    made = ((N, CHAIN), (I, JUMP), (opens, above))
    assert [one.harms for one in steps(*made, name=GUARD_OPEN)] == [False, False, True]
    assert not any(one.harms for one in steps(*made, name=HEALTHY))


def test_kubelets_last_command_on_a_family_that_it_gave_up_failed() -> None:
    broken = command("k", "iptables -C INPUT -j KUBE-FIREWALL", 3.0, code=2)
    deleted = command("s", "iptables -X", 2.0)
    made = ((N, CHAIN), (deleted, EMPTY), (broken, EMPTY))
    assert [one.fails for one in steps(*made, name=INIT_FAILED)] == [False, False, True]
    assert not any(one.fails for one in steps(*made, name=RULES_LOST))
    # Of the other family it was not the last.
    assert not any(one.fails for one in steps(*made, name=RULES_LOST, six=INIT_FAILED))


def test_what_came_along_is_told_apart_by_family() -> None:
    six = command("x", "ip6tables -N KUBE-FIREWALL", 1.0)
    view: Any = {
        "commands": [N, six],
        "left": [(0, {"ipv4": EMPTY, "ipv6": EMPTY}), (2, {"ipv4": CHAIN, "ipv6": CHAIN})],
    }
    healthy = {name: FamilyOutcome((HEALTHY,)) for name in ("ipv4", "ipv6")}
    outcome = Outcome(healthy, signature=False, detected_by=None)
    four, other = timeline(view, outcome, REFERENCE, "k")
    assert four.added == ("ipv4 filter :KUBE-FIREWALL -",)
    assert other.added == ("ipv6 filter :KUBE-FIREWALL -",)


def test_a_step_that_has_not_ended_has_neither_code_nor_end() -> None:
    (one,) = steps((command("s", "sleep 9", 0.0, code=None), EMPTY))
    assert (one.code, one.ends) == (None, None)


def test_no_steps_are_no_timeline() -> None:
    assert steps() == ()
