"""What one trial saw, as data. Times are seconds after kubelet's first iptables process."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chainrace.model.protocol import Consumed, TrialSeen

# -tnat, --table=nat
TABLE = re.compile(r"(?:-t|--table=)(\w+)")
# What the gate tells of a process besides its words.
MORE = ("kind", "foreign", "input", "output", "exe", "source", "target")


@dataclass(frozen=True)
class Call:
    """What one process was asked to do, and whose it was.

    `kind` is `shell` where the file executed is one or is interpreted by one: such a process
    does nothing but start others; `daemon` for one of a subject's own programs, which goes by
    the answers that it gets. `foreign`: it runs in another network namespace. `input` is
    what its standard input is, `file`, `pipe` or nothing that anybody writes to; `output`
    likewise; `source` and `target` are the files that they are. `exe` is the name of the file
    that is executed, links resolved. `beside`: a program of the same actor that is not understood
    goes on beside it, and may do and see anything meanwhile.
    """

    actor: str  # kubelet, script, service stop, service start, a unit's name, or other
    program: str  # ip6tables-save
    arguments: tuple[str, ...]
    kind: str = field(default="", kw_only=True)
    foreign: bool = field(default=False, kw_only=True)
    input: str = field(default="", kw_only=True)
    output: str = field(default="", kw_only=True)
    exe: str = field(default="", kw_only=True)
    source: str = field(default="", kw_only=True)
    target: str = field(default="", kw_only=True)
    beside: bool = field(default=False, kw_only=True)

    @staticmethod
    def of(one: Mapping[str, Any]) -> Call:
        """The call of a command as the agent tells it."""
        more = {name: one[name] for name in MORE if name in one}
        return Call(one["actor"], one["program"], tuple(one["arguments"]), **more)

    def __str__(self) -> str:
        return " ".join((self.program, *self.arguments))

    @property
    def family(self) -> str:
        return "ipv6" if self.program.startswith("ip6") else "ipv4"

    @property
    def table(self) -> str:
        """The table it names; iptables means filter where none is named (iptables(8))."""
        for at, word in enumerate(self.arguments):
            if word in ("-t", "--table") and at + 1 < len(self.arguments):
                return self.arguments[at + 1]
            if found := TABLE.fullmatch(word):
                return found[1]
        return "filter"


@dataclass(frozen=True)
class Command(Call):
    """One iptables process. `started` is when it was seen, `ended` when it was gone."""

    started: float
    ended: float | None
    code: int | None


@dataclass(frozen=True)
class Ending:
    """What is left when all is over: kubelet's words by family, its log, the rules.

    `guard` are the ports of 127.0.0.1 that a neighbour reaches, where that was tried; `check` is
    the exit code of the user's own command.
    """

    words: Mapping[str, str]  # ipv4 -> initialised or failed
    journal: tuple[str, ...]
    after: Mapping[str, str]  # family -> iptables-save text
    guard: tuple[int, ...] = ()
    check: int = 0


@dataclass(frozen=True)
class Seen:
    """One trial's observations: kubelet's words by family, its log, rules, commands."""

    words: Mapping[str, str]  # ipv4 -> initialised or failed
    journal: tuple[str, ...]
    commands: tuple[Command, ...]
    before: Mapping[str, str]  # family -> iptables-save text
    after: Mapping[str, str]
    script_started: float | None
    script_ended: float | None
    script_code: int | None
    settled: float
    first_step: float  # seconds after `systemctl start kubelet`
    phases: Mapping[str, float]
    azure_npm: bool | None  # whether it started on what was left; None where it was not tried

    @property
    def ending(self) -> Ending:
        """What the trial left."""
        return Ending(self.words, self.journal, self.after)


def from_answer(answer: TrialSeen) -> Seen:
    """Read an agent's answer to `trial` (chainrace/gate/trial.py) that has no error.

    Raises ValueError for one that did not come to its end.
    """
    watch = answer["watch"]
    origin, settled = watch["first_step"], watch["settled"]
    if origin is None or settled is None:
        raise ValueError("a trial that did not come to its end shows nothing")

    def after_origin(time: float | None) -> float | None:
        return None if time is None else time - origin

    return Seen(
        words=watch["words"],
        journal=tuple(watch["journal"]),
        commands=tuple(
            Command(
                actor=one["actor"],
                program=one["program"],
                arguments=tuple(one["arguments"]),
                started=one["started"] - origin,
                ended=after_origin(one["ended"]),
                code=one["code"],
            )
            for one in watch["commands"]
        ),
        before=answer["before"],
        after=answer["after"],
        script_started=after_origin(watch["script_started"]),
        script_ended=after_origin(watch["script_ended"]),
        script_code=watch["script_code"],
        settled=settled - origin,
        first_step=origin - watch["started"],
        phases=answer["phases"],
        azure_npm=_started(answer["azure_npm"]),
    )


def _started(azure_npm: Consumed | None) -> bool | None:
    """Whether azure-npm started; None where it was not tried, or did not end."""
    if azure_npm is None or azure_npm["code"] is None:
        return None
    return bool(azure_npm["code"] == 0)
