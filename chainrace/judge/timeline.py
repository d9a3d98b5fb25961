"""A replay step by step: what each command added to the rules and took away, and which did harm."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from chainrace.judge.outcome import MODES, Outcome
from chainrace.model.actors import group
from chainrace.model.protocol import Stepped, View
from chainrace.model.rules import RuleSet, plain
from chainrace.model.trial import Call

Rules = Mapping[str, str]
# ipv4 filter -A INPUT -p tcp -m tcp --dport 8080 -j ACCEPT
INPUT = "ipv4 filter -A INPUT "


@dataclass(frozen=True)
class Happened:
    """One step: `begins` and `ends` in seconds since the first, `code` None where it has not ended.

    `added` and `removed` are lines of the rules: `ipv4 filter -A INPUT -j KUBE-FIREWALL`.
    `harms`: of the other, and took away what the subject's clean start sets, or let something in.
    `fails`: the subject's, and its failure ended its work on a family.
    """

    lane: str
    actor: str
    command: str
    code: int | None
    begins: float
    ends: float | None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    harms: bool = False
    fails: bool = False


def timeline(
    view: View, outcome: Outcome, reference: Mapping[str, RuleSet], judged: str
) -> tuple[Happened, ...]:
    """The steps of a view whose `left` has the rules after each (explore/walker.py).

    `judged` is the letter of the actor that the outcome is about: k, d, or s.
    Where several commands came along as one step (those on the family that a schedule does
    not name), what changed counts as done by the last of them that is of the family.
    """
    commands = view["commands"]
    calls = [Call.of(one) for one in commands]
    first = min((one["started"] for one in commands), default=0.0)
    steps = [_happened(one, call, first) for one, call in zip(commands, calls, strict=True)]
    for (since, before), (until, after) in pairwise(view["left"]):
        for at, added, removed in _changes(before, after, calls, range(since, until)):
            one = steps[at]
            steps[at] = replace(one, added=one.added + added, removed=one.removed + removed)
    subjects = {
        f"{family} {entry}" for family, found in reference.items() for entry in found.entries
    }
    harmful = _harmful(steps, outcome, subjects, judged)
    failed = set(_failed(steps, calls, outcome, judged))
    return tuple(
        replace(one, harms=at in harmful, fails=at in failed) for at, one in enumerate(steps)
    )


def _happened(one: Stepped, call: Call, first: float) -> Happened:
    return Happened(
        lane=one["lane"],
        actor=call.actor,
        command=str(call),
        code=one["code"],
        begins=round(one["started"] - first, 3),
        ends=None if one["ended"] is None else round(one["ended"] - first, 3),
    )


def _changes(
    before: Rules, after: Rules, calls: Sequence[Call], group: range
) -> Iterator[tuple[int, tuple[str, ...], tuple[str, ...]]]:
    """Which command of a group added and removed which lines."""
    for part in sorted(before.keys() | after.keys()):
        was, now = _lines(part, before.get(part, "")), _lines(part, after.get(part, ""))
        added, removed = tuple((now - was).elements()), tuple((was - now).elements())
        if group and (added or removed):
            family = part.partition("/")[0]
            own = [at for at in group if calls[at].family == family]
            yield (own or group)[-1], added, removed


def _lines(part: str, text: str) -> Counter[str]:
    """The lines of a part of the rules, each with its table: `ipv4 filter :KUBE-FIREWALL -`."""
    found: Counter[str] = Counter()
    table = ""
    for line in plain(text):
        if line.startswith("*"):  # *filter
            table = f"{line[1:]} "
        elif line != "COMMIT":
            found[f"{part} {table}{line}"] += 1
    return found


def _harmful(
    steps: Sequence[Happened], outcome: Outcome, subjects: Collection[str], judged: str
) -> set[int]:
    """The steps of the other that took something of the subject's; else what let something in."""
    others = [at for at, one in enumerate(steps) if group(one.lane) != judged]
    # A chain's line has its policy behind it: `ipv4 filter :KUBE-FIREWALL -`.
    took = {
        at
        for at in others
        if any(line.removesuffix(" -") in subjects for line in steps[at].removed)
    }
    opened = any(MODES[name].lets_in for one in outcome.families.values() for name in one.modes)
    if took or not opened:
        return took
    return {at for at in others if any(line.startswith(INPUT) for line in steps[at].added)}


def _failed(
    steps: Sequence[Happened], calls: Sequence[Call], outcome: Outcome, judged: str
) -> Iterator[int]:
    """The last command of the subject's on a family that it gave up, where that failed."""
    for family, found in outcome.families.items():
        if not any(MODES[name].ends_start for name in found.modes):
            continue
        own = [
            at
            for at, one in enumerate(steps)
            if group(one.lane) == judged and calls[at].family == family
        ]
        if own and steps[own[-1]].code:
            yield own[-1]
