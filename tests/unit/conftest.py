"""Builders for what a trial may have seen; the texts are from real runs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from chainrace.judge import outcome
from chainrace.model.guarantee import Promised
from chainrace.model.trial import Command, Seen
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET
from chainrace.subjects.kubelet.words import CANARY, HINT

# A busy machine is no wrong answer.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

SAMPLES = Path(__file__).parent / "samples"
# kubelet's clean start: program, arguments, seconds after its first.
STEPS = (
    ("iptables", "--version", 0.0),
    ("iptables", "-w 5 -N KUBE-FIREWALL -t filter", 1.0),
    ("iptables", "-w 5 -I OUTPUT -t filter -j KUBE-FIREWALL", 1.5),
    ("iptables", "-w 5 -A KUBE-FIREWALL -t filter -j DROP", 1.8),
    ("ip6tables", "-w 5 -N KUBE-FIREWALL -t filter", 1.9),
    *(
        (program, f"-w 5 -N {chain} -t {table}", 1.9)
        for program in ("iptables", "ip6tables")
        for chain, table in (
            (HINT, "mangle"),
            *((CANARY, table) for table in ("mangle", "nat", "filter")),
        )
    ),
)


@pytest.fixture(scope="session")
def sample() -> Callable[[str], str]:
    """Read a stored text of a real node."""
    return lambda name: (SAMPLES / name).read_text()


@pytest.fixture
def clean_rules(sample: Callable[[str], str]) -> dict[str, str]:
    return {"ipv4": sample("clean.ipv4"), "ipv6": sample("clean.ipv6")}


@pytest.fixture
def reference_rules(sample: Callable[[str], str]) -> dict[str, str]:
    return {"ipv4": sample("reference.ipv4"), "ipv6": sample("reference.ipv6")}


@pytest.fixture
def seen(clean_rules: dict[str, str], reference_rules: dict[str, str]) -> Callable[..., Seen]:
    """A healthy trial, but for what the test says is different."""
    clean_start = tuple(
        command("kubelet", f"{program} {words}", at) for program, words, at in STEPS
    )

    def build(
        words: dict[str, str] | None = None,
        journal: tuple[str, ...] = (),
        commands: tuple[Command, ...] | None = None,
        after: dict[str, str] | None = None,
    ) -> Seen:
        return Seen(
            words={"ipv4": "initialised", "ipv6": "initialised"} if words is None else words,
            journal=journal,
            commands=clean_start if commands is None else commands,
            before=clean_rules,
            after=after or reference_rules,
            script_started=0.3,
            script_ended=0.9,
            script_code=0,
            settled=3.0,
            first_step=2.0,
            phases={"restore": 1.0, "race": 5.0, "rules": 0.3},
            azure_npm=True,
        )

    return build


def reference_of(clean: Seen) -> Promised:
    """The reference from one clean start of kubelet's."""
    return outcome.promised_by(KUBELET, clean.before, clean.ending, clean.commands)


def command(actor: str, line: str, started: float) -> Command:
    """An iptables process as one would type it."""
    program, *arguments = line.split()
    return Command(actor, program, tuple(arguments), started, started + 0.05, 0)
