"""Versions of kubelet, mitigations of the outage, subjects: as they stand side by side."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cut:
    """One schedule's end in IPv4: its failure modes, kubelet's own words, what is missing."""

    schedule: str
    modes: tuple[str, ...]
    cause: str
    signature: bool
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Generation:
    """One kubelet: its commands by family, the chains in the order in which it makes them.

    `refused` says why it did not come through even a clean start on this node; then there
    is nothing else.
    """

    version: str
    backend: str
    containerd: str
    steps: dict[str, tuple[str, ...]]
    chains: dict[str, tuple[str, ...]]
    cuts: tuple[Cut, ...]
    refused: str = ""

    @property
    def broken(self) -> tuple[Cut, ...]:
        """The cuts that break its start with the outage's own message."""
        return tuple(cut for cut in self.cuts if cut.signature)


@dataclass(frozen=True)
class Compared:
    """What an exploration showed of a mitigation. `harm`: the shortest schedule by mode."""

    name: str
    backend: str
    about: str
    costs: str
    verdict: str
    reason: str
    harm: dict[str, str]
    states: int
    orders: int
    preemptions: int | None
    commands: int


@dataclass(frozen=True)
class Pair:
    """What an exploration showed of a subject and another program.

    `other` is a script or another subject; `harm` the shortest schedule by failure mode; `folder`
    has the results. One that could not be explored says why in `reason`, and has no folder.
    """

    subject: str
    other: str
    verdict: str
    reason: str
    harm: dict[str, str]
    folder: str
