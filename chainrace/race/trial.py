"""What one trial saw, as data. Times are seconds after kubelet's first iptables process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Command:
    """One iptables process. `started` is when it was seen, `ended` when it was gone."""

    actor: str  # kubelet, script, service or other
    program: str  # ip6tables-save
    arguments: tuple[str, ...]
    started: float
    ended: float | None
    code: int | None

    @property
    def family(self) -> str:
        return "ipv6" if self.program.startswith("ip6") else "ipv4"

    @property
    def table(self) -> str:
        """The table it names; iptables means filter where none is named (iptables(8))."""
        for option in ("-t", "--table"):
            if option in self.arguments[:-1]:
                return self.arguments[self.arguments.index(option) + 1]
        return "filter"


@dataclass(frozen=True)
class Seen:
    """One trial's observations: kubelet's words by family, its log, rules, commands."""

    words: Mapping[str, str]  # ipv4 -> initialised or failed
    journal: tuple[str, ...]
    commands: tuple[Command, ...]
    before: Mapping[str, str]  # family -> iptables-save text
    after: Mapping[str, str]
    fired: float | None
    script_code: int | None
    settled: float
    first_step: float  # seconds after `systemctl start kubelet`
    phases: Mapping[str, float]


def from_answer(answer: Mapping[str, Any]) -> Seen:
    """Read an agent's answer to `trial` (chainrace/gate/trial.py) that has no error."""
    watch = answer["watch"]
    origin = watch["first_step"]

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
        fired=after_origin(watch["fired"]),
        script_code=watch["script_code"],
        settled=watch["settled"] - origin,
        first_step=origin - watch["started"],
        phases=answer["phases"],
    )
