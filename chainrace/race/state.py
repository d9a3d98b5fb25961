"""A state of the node between two steps: what everything that follows depends on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chainrace.gate.process import KUBELETS, SCRIPT_ACTOR
from chainrace.gate.rules import plain
from chainrace.race.rules import sections
from chainrace.race.step import reads_rules
from chainrace.race.trial import Call

ACTOR_OF = {family: actor for actor, family in KUBELETS.items()}
ACTORS = {"k": "kubelet", "x": "kubelet IPv6", SCRIPT_ACTOR: "script and service"}


@dataclass(frozen=True)
class Made:
    """A step that was made: the command, its exit code, and what it may have told.

    `saw` is a digest of the rules that a reading command of the script found: the
    script may act on them later. kubelet looks at exit codes alone (iptables.go).
    """

    call: Call
    code: int
    saw: str = ""


@dataclass(frozen=True)
class State:
    """Each actor's history and next step, whether it has ended; the rules, the saved files.

    Rules are those of both families, all tables, both backends (`ipv4/filter`,
    `ipv4/legacy/filter`); like the saved files they are kept as digests of their texts
    without counters and comments.
    """

    histories: Mapping[str, tuple[Made, ...]]
    waiting: Mapping[str, Call | None]
    ended: Mapping[str, bool]
    rules: Mapping[str, str]
    saved: Mapping[str, str]

    @cached_property
    def key(self) -> str:
        """The state's identity: the same for the same state, on any node."""
        return digest(vars(self))

    def left(self, actor: str, family: str) -> str:
        """A digest of a family's rules and an actor's commands with their exit codes."""
        rules = {name: text for name, text in self.rules.items() if name.startswith(family)}
        return digest([rules, self.histories[actor]])

    def differing(self, other: "State") -> tuple[str, ...]:
        """What of two states is not the same: `rules ipv4/filter`, `waiting k`."""
        return tuple(
            f"{part} {name}"
            for part, mine in vars(self).items()
            if isinstance(mine, Mapping)
            for name in sorted({*mine, *getattr(other, part)})
            if mine.get(name) != getattr(other, part).get(name)
        )


def digest(value: object) -> str:
    """Sixteen hexadecimal digits that stand for a value of plain data and dataclasses."""
    text = json.dumps(value, sort_keys=True, default=vars)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def actor_of(call: Call) -> str:
    """The letter of the actor that a command belongs to."""
    if call.actor != "kubelet":
        return SCRIPT_ACTOR
    return "x" if call.family == "ipv6" else "k"


def saw(before: State, call: Call) -> str:
    """What a reading command of the script may tell it about the rules it was made on."""
    if actor_of(call) != SCRIPT_ACTOR or not reads_rules(call):
        return ""
    return digest([item for item in sorted(before.rules.items()) if call.family in item[0]])


def read(view: Mapping[str, Any], before: State | None) -> State:
    """The state that an agent's `view` with rules shows (chainrace/gate/forced.py).

    `before` is that state or the one from which its last step was made, None at the start.
    Raises ValueError where the view does not continue that state: then the same
    steps have not led to the same state, and nothing may be concluded.
    """
    histories: dict[str, list[Made]] = {actor: [] for actor in ACTORS}
    for one in view["commands"]:
        call = Call.of(one)
        actor = actor_of(call)
        known = before.histories[actor] if before else ()
        at = len(histories[actor])
        if at >= len(known):
            histories[actor].append(Made(call, one["code"], saw(before, call) if before else ""))
        elif (known[at].call, known[at].code) == (call, one["code"]):
            histories[actor].append(known[at])
        else:
            raise ValueError(f"{call} ended with {one['code']} where {known[at]} was known")
    for actor, made in (before.histories if before else {}).items():
        if len(histories[actor]) < len(made):
            raise ValueError(f"{ACTORS[actor]} has not made the steps that it made before")
    return State(
        histories={actor: tuple(made) for actor, made in histories.items()},
        waiting={actor: _call(words) for actor, words in view["next"].items()},
        ended=dict(view["done"]),
        rules={
            f"{family}/{table}": digest(plain(text))
            for family, both in view["rules"].items()
            for table, text in sections(both).items()
        },
        saved={name: digest(plain(text)) for name, text in view["saved"].items()},
    )


def _call(words: list[str] | None) -> Call | None:
    return None if words is None else Call(words[0], words[1], tuple(words[2:]))
