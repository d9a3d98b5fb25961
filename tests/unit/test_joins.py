"""What joins the families, by runs of a script that are written out: each rule by itself."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from chainrace.model.actors import SCRIPT_ACTOR
from chainrace.model.trial import Call
from chainrace.search.families import joined
from chainrace.search.knowledge import Knowledge
from chainrace.search.state import Answer, Made, State

TOLD = "the script is told something of both"
# Touches each family, whatever else a run does: else there is nothing to join.
BOTH = ("iptables -N A", "ip6tables -N A")


def made(line: str, lane: str = SCRIPT_ACTOR, **about: object) -> Made:
    """A step: `</file` and `>/file` are its input and output, `<|` and `>|` a pipe to a step.

    `>$` is what the script's own shell reads of it.
    """
    words = [word for word in line.split() if word[0] not in "<>"]
    call = Call("script", words[0], tuple(words[1:]))
    for word in line.split():
        if word[0] == "<":
            path = word[1:]
            more = {"input": "pipe"} if path == "|" else {"input": "file", "source": path}
            call = replace(call, **more)  # type: ignore[arg-type]
        elif word[0] == ">":
            path = word[1:]
            to = {"|": {"output": "step"}, "$": {"output": "pipe"}}
            more = to.get(path, {"output": "file", "target": path})
            call = replace(call, **more)  # type: ignore[arg-type]
    return Made(lane, call, **about)  # type: ignore[arg-type]


def knows(family: str, *runs: tuple[Made, ...]) -> Knowledge:
    known = Knowledge((family,), reduced=True)
    known.runs = list(runs)
    return known


def why(*steps: str | Made) -> str:
    """Why the families are joined by one run of these steps, the same in each."""
    run = tuple(one if isinstance(one, Made) else made(one) for one in (*BOTH, *steps))
    return joined([knows("ipv4", run), knows("ipv6", run)])


@pytest.mark.parametrize(
    "steps",
    [
        # By files.
        (
            "iptables-save >/4",
            "ip6tables-save >/6",
            "iptables-restore </4",
            "ip6tables-restore </6",
        ),
        ("ip6tables-save >/6", "iptables -S >/4", "iptables-restore </4"),
        ("iptables -S >/4", "ip6tables-restore </etc/rules.v6"),
        # By a pipe: only what is in it counts.
        ("iptables-save >|", "iptables-restore <|"),
        ("iptables-save >/4", "ip6tables-save >|", "sed s/a/b/ <| >|", "ip6tables-restore <|"),
        ("iptables-save >$", "ip6tables-save >|", "ip6tables-restore <|"),
        # It names its file itself, and none has been written.
        ("ip6tables-restore /etc/rules.v6", "iptables-save >/4"),
    ],
)
def test_what_comes_of_one_family_and_goes_back_to_it_joins_nothing(steps: tuple[str, ...]) -> None:
    assert why(*steps) == ""


@pytest.mark.parametrize(
    ("steps", "into"),
    [
        (("iptables-save >/4", "ip6tables-restore </4"), "ipv6"),
        (("ip6tables-save >/6", "iptables-restore </6"), "ipv4"),
        # By way of another file, whoever reads it.
        (("iptables-save >/4", "sed s/a/b/ </4 >/6", "ip6tables-restore </6"), "ipv6"),
        # What writes files that nobody names here may write this one.
        (("ip6tables-save >/6", "cp /4 /6", "ip6tables-restore </6"), "ipv6"),
        # By a pipe, directly and through another.
        (("iptables-save >|", "ip6tables-restore <|"), "ipv6"),
        (("ip6tables-save >|", "sed s/a/b/ <| >|", "iptables-restore <|"), "ipv4"),
        (("iptables-save >/4", "cat </4 >|", "ip6tables-restore <|"), "ipv6"),
        # It names its file itself: any that was written may be it.
        (("iptables-save >/4", "ip6tables-restore /4"), "ipv6"),
        (("iptables-save >$", "ip6tables-restore /4"), "ipv6"),
    ],
)
def test_what_comes_of_one_family_and_goes_to_the_other_joins_them(
    steps: tuple[str, ...], into: str
) -> None:
    assert f"may load into {into}" in why(*steps)


def test_what_a_shell_wrote_by_itself_may_be_the_file_that_is_loaded() -> None:
    assert "may load into" in why(made("iptables -S", wrote="digest"), "ip6tables-restore /4")


def test_a_pipe_beside_other_work_may_hold_what_that_says() -> None:
    beside = made("iptables -N B", lane="t")
    assert "may load into ipv6" in why(beside, "ip6tables-save >|", "ip6tables-restore <|")


def test_what_may_look_at_kubelet_joins_them() -> None:
    asks = "systemctl is-active kubelet"
    assert why(asks) == f"{asks} may look at kubelet itself"


def told(first: Made, second: Made) -> bool:
    """Whether a script is told something of both that makes `first` at one time, then `second`."""
    both = tuple(made(line) for line in BOTH)
    runs = [(*both, first), (*both, second)]
    return joined([knows("ipv4", *runs), knows("ipv6", *runs)]) == TOLD


HERE = len(BOTH)


def listed(line: str, *, code: int = 0, out: str = "", wrote: str = "", read: bool = False) -> Made:
    return made(line, answers=(Answer(HERE, code, out),), wrote=wrote, read=read)


def test_codes_and_what_the_shell_reads_by_a_pipe_are_told() -> None:
    line = "iptables -S"
    assert not told(listed(line), listed(line))
    assert told(listed(line), listed(line, code=1))
    assert told(listed(f"{line} >$", out="a"), listed(f"{line} >$", out="b"))


def test_what_goes_to_a_file_is_told_only_where_a_shell_reads_files() -> None:
    line = "iptables -S >/4"
    assert not told(listed(line, out="a"), listed(line, out="b"))
    assert told(listed(line, out="a", read=True), listed(line, out="b"))
    assert told(listed(line, wrote="a", read=True), listed(line, wrote="b"))
    assert not told(listed(line, wrote="a"), listed(line, wrote="b"))


def test_what_goes_to_another_step_is_not_told() -> None:
    line = "iptables -S >|"
    assert not told(listed(line, out="a", read=True), listed(line, out="b"))


def test_where_only_one_family_tells_nothing_is_told_of_both() -> None:
    both = tuple(made(line) for line in BOTH)
    runs = [(*both, listed("iptables -S")), (*both, listed("iptables -S", code=1))]
    assert joined([knows("ipv4", *runs), knows("ipv6", runs[0])]) == ""


def test_other_steps_in_other_orders_join_them() -> None:
    both = tuple(made(line) for line in BOTH)
    runs = [(*both, made("iptables -F")), (*both, made("ip6tables -F"))]
    found = joined([knows("ipv4", *runs), knows("ipv6", *runs)])
    assert found == "the script does other things depending on ipv4"


def test_a_step_that_was_looked_at_before_does_not_end_the_look() -> None:
    both = tuple(made(line) for line in BOTH)
    flows = tuple(made(line) for line in ("iptables-save >/4", "ip6tables-restore </4"))
    known = [knows(family, both, (*both, *flows)) for family in ("ipv4", "ipv6")]
    assert "may load into ipv6" in joined(known)


def test_a_pipe_is_heard_also_where_a_shell_reads_files() -> None:
    line = "iptables -S >$"
    assert told(listed(line, out="a", read=True), listed(line, out="b"))


def test_what_is_left_in_the_other_family_may_not_differ() -> None:
    both = tuple(made(line) for line in BOTH)
    known = [knows(family, both) for family in ("ipv4", "ipv6")]
    for key, left in (("one", "-N A"), ("two", "")):
        rules = {"ipv4/filter": "", "ipv6/filter": left}
        known[0].states[key] = cast("State", SimpleNamespace(histories={"s": both}, rules=rules))
    assert joined(known) == "what it leaves in ipv6 depends on ipv4"
