"""A state of the node between two steps: what everything that follows depends on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from chainrace.gate.rules import plain
from chainrace.race.step import reads_rules
from chainrace.race.trial import Call

KUBELETS = {"k": "ipv4", "x": "ipv6"}
SCRIPT = "s"
ACTORS = {"k": "kubelet", "x": "kubelet IPv6", SCRIPT: "script and service"}


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

    Rules are those of both families, all tables, both backends; like the saved files they
    are kept as digests of their texts without counters and comments.
    """

    histories: Mapping[str, tuple[Made, ...]]
    waiting: Mapping[str, Call | None]
    ended: Mapping[str, bool]
    rules: Mapping[str, str]
    saved: Mapping[str, str]

    @property
    def key(self) -> str:
        """The state's identity: the same for the same state, on any node."""
        return digest(asdict(self))


def digest(value: object) -> str:
    """Sixteen hexadecimal digits that stand for a value of plain data."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def actor_of(call: Call) -> str:
    """The letter of the actor that a command belongs to."""
    if call.actor != "kubelet":
        return SCRIPT
    return "x" if call.family == "ipv6" else "k"


def read(view: Mapping[str, Any], before: State | None) -> State:
    """The state that an agent's `view` with rules shows (chainrace/gate/forced.py).

    `before` is the state from which its last steps were made, None at the start.
    Raises ValueError where the view does not continue that state: then the same
    steps have not led to the same state, and nothing may be concluded.
    """
    histories: dict[str, list[Made]] = {actor: [] for actor in ACTORS}
    rules = {name: digest(plain(text)) for name, text in view["rules"].items()}
    first_new = True
    for one in view["commands"]:
        call = Call(one["actor"], one["program"], tuple(one["arguments"]))
        actor = actor_of(call)
        known = before.histories[actor] if before else ()
        at = len(histories[actor])
        if at < len(known):
            if (known[at].call, known[at].code) != (call, one["code"]):
                raise ValueError(f"{call} ended with {one['code']} where {known[at]} was known")
            histories[actor].append(known[at])
            continue
        saw = ""
        if first_new and before and actor == SCRIPT and reads_rules(call):
            saw = digest(
                [before.rules[name] for name in sorted(before.rules) if call.family in name]
            )
        first_new = False
        histories[actor].append(Made(call, one["code"], saw))
    for actor, made in (before.histories if before else {}).items():
        if len(histories[actor]) < len(made):
            raise ValueError(f"{ACTORS[actor]} has not made the steps that it made before")
    return State(
        histories={actor: tuple(made) for actor, made in histories.items()},
        waiting={actor: _call(words) for actor, words in view["next"].items()},
        ended=dict(view["done"]),
        rules=rules,
        saved={name: digest(plain(text)) for name, text in view["saved"].items()},
    )


def _call(words: list[str] | None) -> Call | None:
    return None if words is None else Call(words[0], words[1], tuple(words[2:]))
