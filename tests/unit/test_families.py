"""Whether the two families may be explored apart. Where they must not be, harm would be missed."""

import re
from collections.abc import Generator

import pytest

from chainrace.explore.roots import ScriptAlone, lazy_for, lead_for
from chainrace.explore.walker import Turns
from chainrace.judge.explored import HARMFUL, HARMLESS, NOT_PROVED
from chainrace.search.families import joined
from tests.unit import fakenode
from tests.unit.fakenode import Body, Fork, Node, Read, Request, Run, Said, Wait, play, script
from tests.unit.test_exploration import Teller, explore, explored, truth

Steps = Generator[Request, Said, int]


def why(body: Body) -> str:
    """Why they must be explored together, after each was by itself."""
    apart = [explore(body, (family,)).exploration.known for family in ("ipv4", "ipv6")]
    return joined(apart)


SAVES = [("save", "iptables-save", "/4"), ("save", "ip6tables-save", "/6")]


@pytest.mark.parametrize(
    "body",
    [
        script("iptables -F", "iptables -X"),
        script("ip6tables -F"),
        play([*SAVES, ("load", "iptables-restore", "/4"), ("load", "ip6tables-restore", "/6")]),
        play([("ask", "a", "iptables -S", "KUBE"), ("if", "a", [("run", "iptables -F")])]),
        play([*SAVES, ("run", "sleep 1")]),
    ],
)
def test_what_keeps_the_families_apart_may_be_explored_apart(body: Body) -> None:
    assert why(body) == ""


def loads_one_into_the_other() -> Steps:
    yield Run("iptables-save", to="/4")
    yield Run("ip6tables-restore", source="/4")
    return 0


def by_a_pipe() -> Steps:
    saved = yield Run("ip6tables-save", to="step")
    yield Run("iptables-restore", stdin=saved.text)
    return 0


def looks_here_and_acts_there() -> Steps:
    if (yield Run("iptables -S KUBE-FIREWALL")).code == 0:
        yield Run("ip6tables -F INPUT")
    return 0


def acts_later_on_what_it_saw() -> Steps:
    seen = yield Run("iptables-save", to="pipe")
    yield Run("iptables --version")
    if "FIREWALL" in seen.text and "HINT" in seen.text:
        yield Run("ip6tables -F INPUT")
    return 0


def other_words() -> Steps:
    seen = yield Run("ip6tables -S", to="pipe")
    yield Run(f"iptables -I INPUT {1 + ('KUBE-FIREWALL' in seen.text)} -j ACCEPT")
    return 0


def told_of_both() -> Steps:
    """kubelet's last step on IPv4 comes beside its first on IPv6: between these it acts."""
    one = yield Run("iptables -t mangle -S", to="pipe")
    two = yield Run("ip6tables -t mangle -S", to="pipe")
    if "CANARY" not in one.text and "HINT" in two.text:
        yield Run("iptables -F INPUT")
    return 0


def told_of_both_by_exit_codes() -> Steps:
    one = yield Run("iptables -t mangle -S KUBE-KUBELET-CANARY")
    two = yield Run("ip6tables -t mangle -S KUBE-IPTABLES-HINT")
    if one.code and not two.code:
        yield Run("iptables -F INPUT")
    return 0


def told_of_both_by_files_and_grep() -> Steps:
    yield Run("iptables-save", to="/4")
    yield Run("ip6tables-save", to="/6")
    one, two = (yield Run("grep CANARY /4")), (yield Run("grep HINT /6"))
    if one.code and not two.code:
        yield Run("iptables -F INPUT")
    return 0


def told_of_both_by_files_that_the_shell_reads() -> Steps:
    yield Run("iptables-save", to="/4")
    yield Run("ip6tables-save", to="/6")
    one, two = (yield Read("/4")), (yield Read("/6"))
    if "CANARY" not in one.text and "HINT" in two.text:
        yield Run("iptables -F INPUT")
    return 0


def looks_at_kubelet_only_in_the_middle() -> Steps:
    """Neither alone nor after kubelet: and what it is told then is of IPv6."""
    if (yield Run("iptables -C INPUT -j KUBE-FIREWALL")).code == 0 and (
        yield Run("iptables -t mangle -S KUBE-KUBELET-CANARY")
    ).code:
        said = yield Run("journalctl -u kubelet", to="pipe")
        if "initialised ipv6" in said.text:
            yield Run("iptables -F INPUT")
    return 0


def each_in_the_background() -> Steps:
    yield Fork(play([("save", "iptables-save", "/4")]))
    yield Fork(script("ip6tables -S"))
    yield Wait()
    yield Run("ip6tables-restore", source="/4")
    return 0


JOINS = [
    *(loads_one_into_the_other, by_a_pipe, looks_here_and_acts_there, acts_later_on_what_it_saw),
    *(other_words, told_of_both, told_of_both_by_exit_codes, told_of_both_by_files_and_grep),
    *(told_of_both_by_files_that_the_shell_reads, looks_at_kubelet_only_in_the_middle),
    each_in_the_background,
]


@pytest.mark.parametrize("body", JOINS, ids=lambda body: body.__name__)
def test_what_joins_them_is_explored_together_and_its_harm_is_found(body: Body) -> None:
    teller = Teller()
    assert truth(body)
    assert explored(body, teller=teller).verdict in (HARMFUL, NOT_PROVED)
    assert teller.together


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (other_words, "the script does other things depending on ipv"),
        (by_a_pipe, "ipv4 .*ipv6"),
        (loads_one_into_the_other, "ipv6 .*ipv4"),
        (told_of_both, "the script is told something of both"),
        (told_of_both_by_exit_codes, "the script is told something of both"),
    ],
)
def test_why_is_told(body: Body, reason: str) -> None:
    assert re.search(reason, why(body))


def alone(body: Body, *, more: str = "", **about: object) -> ScriptAlone:
    """What the script does alone, and once kubelet has done."""
    views = []
    ways: list[Turns] = [[], [("s", 99)], [("k", None), ("x", None), ("s", 99)]]
    for turns in ways:
        node = Node(script=body, **about)  # type: ignore[arg-type]
        node.walk(turns)
        views.append(node.view(rules_too=True, evidence=False, places=True))
    if more:
        views[2]["restarts"] = int(more == "restarts")
    return ScriptAlone.of(*views, ordered=more == "ordered")


@pytest.mark.parametrize(
    ("body", "joins"),
    [
        (script("iptables -F", "ip6tables -F"), False),
        (script("systemctl is-active kubelet", "iptables -F"), True),
        (script("journalctl -u kubelet"), True),
        (script("iptables -S", "perl x"), True),
        (script("nft list ruleset", "iptables -F"), False),
        (looks_here_and_acts_there, True),
        (play([("ask", "a", "iptables -S", "KUBE"), ("if", "a", [("run", "iptables -F")])]), False),
    ],
)
def test_where_its_own_runs_show_that_it_joins_them_they_are_not_tried_apart(
    body: Body, *, joins: bool
) -> None:
    assert alone(body).joins is joins


def test_a_script_that_restarts_kubelet_or_that_kubelet_waits_for_joins_them() -> None:
    assert alone(script("iptables -S"), more="restarts").joins
    assert alone(script("iptables -S"), more="ordered").joins


def test_what_it_does_to_others_alone_is_told() -> None:
    took = alone(script("iptables -F INPUT", "iptables -P OUTPUT DROP", "ip6tables -N A"))
    assert took.takes == (
        "ipv4 filter -A INPUT -i lo -j ACCEPT",
        "ipv4 policy :OUTPUT ACCEPT",
    )
    assert took.changed
    assert took.code == 0
    assert not alone(script("iptables -S")).changed
    assert alone(script("iptables -S")).takes == ()


def test_what_does_not_come_to_its_end_alone_is_told() -> None:
    def endless() -> Steps:
        while True:
            yield Run("sleep 1")

    assert "after 99 steps it is about to run sleep 1" in alone(endless).unended
    assert alone(script("sleep 1")).unended == ""


def test_ipv6_begins_where_ipv4_is_done_and_both_begin_at_the_start() -> None:
    assert lead_for(("ipv4",)) == lead_for(("ipv4", "ipv6")) == []
    assert lead_for(("ipv6",)) == [("k", None)]
    assert lazy_for(("ipv4",)) == lazy_for(("ipv6",)) == ("x",)
    assert lazy_for(("ipv4", "ipv6")) == ()


def test_families_that_nothing_joins_are_judged_apart_to_the_same_word() -> None:
    teller = Teller()
    body = play([*SAVES, ("run", "ip6tables -S"), ("run", "iptables -S")])
    assert explored(body, teller=teller).verdict == HARMLESS
    assert not teller.together
    assert not truth(body)
    assert fakenode.every_end(body)
