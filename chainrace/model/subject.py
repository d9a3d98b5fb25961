"""A subject: a program that sets firewall rules and trusts that they stay."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chainrace.model import guarantee, mode
from chainrace.model.actors import ACTOR_OF, SCRIPT_ACTOR, SUBJECT_ACTOR, group
from chainrace.model.guarantee import Guarantee, Promised
from chainrace.model.mode import Mode
from chainrace.model.protocol import Unit
from chainrace.model.rules import FAMILIES
from chainrace.model.trial import Call

Rules = Mapping[str, str]  # family -> iptables-save text


@dataclass(frozen=True)
class Consumer:
    """A program that does not start where it finds none of some `entries`, asked in this order."""

    name: str
    entries: tuple[str, ...]


@dataclass(frozen=True)
class Subject:
    """A systemd unit on the node, by its name; `text` is the unit file that is brought there.

    `prepare`, `done` and `check` are commands for the node's /bin/sh. `prepare` is run once, before
    all. With `done` it has done where that ends
    with 0, too; an end is harm where `check` does not end with 0 and does after a clean start.
    `programs` are its own that go by the answers they get alone, and change rules through other
    programs alone. `packages` are Debian's, which the lab's own image has for it; `api_server`: it
    needs an API server of Kubernetes, by /etc/kubernetes/kube-proxy.kubeconfig.
    `by_family`: its work on each family is a lane of its own, and it looks at exit codes alone.

    What it promises: its `guarantees`; `modes` are those failure modes that say more than the
    general ones. `unclean` says of what its clean start adds, the rules that it began with, and
    its calls why it was not clean, beyond what holds for every unit; empty where it was.
    `signature` is the outage's own message in a failure's cause. By the loss of what it `notices`
    it makes its rules again; `repairs` says when it does, with the source. After each failure mode
    it is watched for `watch` seconds, 0 for not at all.
    """

    name: str
    unit: str
    done: str = ""
    check: str = ""
    text: bytes = b""
    by_family: bool = False
    packages: tuple[str, ...] = ()
    api_server: bool = False
    programs: tuple[str, ...] = ()
    prepare: str = ""
    guarantees: tuple[Guarantee, ...] = guarantee.GENERAL
    modes: tuple[Mode, ...] = ()
    unclean: Callable[[Promised, Rules, tuple[Call, ...]], str] | None = None
    signature: re.Pattern[str] | None = None
    consumer: Consumer | None = None
    notices: frozenset[str] = frozenset()
    repairs: str = ""
    watch: float = 0.0

    def mode(self, name: str) -> Mode | None:
        """One of its failure modes by its name; None where it has no such."""
        both = (*self.modes, *mode.GENERAL)
        return next((one for one in both if one.name == name), None)

    @property
    def words(self) -> tuple[str, ...]:
        """By what a command may mean it: the names of unit and subject."""
        return self.name, self.unit.partition(".")[0].partition("@")[0]

    def armed(self) -> Unit | None:
        """What the gate must know of it as a subject; None of one that it knows by itself."""
        return None if self.by_family else self.as_unit()

    def as_unit(self) -> Unit:
        """What the gate must know of it as a unit like any other."""
        return {
            "name": self.name,
            "unit": self.unit,
            "done": self.done,
            "check": self.check,
            "programs": list(self.programs),
        }


def sides(subject: Subject, other: Subject | None) -> tuple[Subject, Subject | None]:
    """Of a subject and what stands in a script's place: whose steps are the subject's, whose `s`.

    One that works by family has lanes of its own, also as the other.
    """
    return (other, subject) if other is not None and other.by_family else (subject, other)


def letter_of(subject: Subject, other: Subject | None) -> str:
    """The letter of a subject's actor beside another: k, d, or s."""
    if subject.by_family:
        return group(ACTOR_OF[FAMILIES[0]])
    return SUBJECT_ACTOR if sides(subject, other)[0] is subject else SCRIPT_ACTOR
