"""What a reboot shows, on a made-up node: the edge is its connection and its agent."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chainrace.base.paths import Paths
from chainrace.judge.boot import Boot
from chainrace.model.mode import HEALTHY, RULES_LOST
from chainrace.model.protocol import Clean, Request, name_of
from chainrace.model.trial import Seen
from chainrace.node.node import Node
from chainrace.run import reboot
from tests.unit.conftest import reference_of

LOG = """I1 kubelet_network_linux.go:54] "Initialized iptables rules." protocol="IPv4"
I1 kubelet_network_linux.go:54] "Initialized iptables rules." protocol="IPv6"
I1 kubelet.go:2300] "Starting kubelet main sync loop"
"""
OWN = {"ipv4": "-A INPUT -s 192.0.2.1/32 -j DROP", "ipv6": "-A INPUT -s 2001:db8::1/128 -j DROP"}


class MadeUp:
    """Connection and agent in one. A boot brings back what was saved, and starts kubelet."""

    def __init__(self, clean: dict[str, str], started: dict[str, str], saves: set[str]) -> None:
        self.clean, self.started, self.saves = clean, started, saves
        self.own: set[str] = set()
        self.saved: set[str] = set()
        self.booted = False
        self.canaries = True
        self.done: list[str] = []

    def ask(self, request: Request[Any], *, timeout: float) -> Any:
        assert timeout > 0
        self.done.append(name_of(request))
        if request == Clean():
            self.own, self.booted = set(), False
            return None
        text = self.started if self.booted else self.clean
        return {
            family: rules.replace("*filter\n", f"*filter\n{OWN[family]}\n", 1)
            if family in self.own
            else rules
            for family, rules in text.items()
        }

    def begin(self) -> None:
        self.done.append("begin")

    def reboot(self, *, timeout: float) -> None:
        assert timeout > 0
        self.booted, self.own = True, set(self.saved)

    def succeed(self, command: str, *, timeout: float = 60) -> str:
        assert timeout > 0
        self.done.append(command)
        if command.startswith(("iptables -A", "ip6tables -A")):
            self.own.add("ipv6" if command.startswith("ip6") else "ipv4")
        if command == "/save":
            self.saved = self.own & self.saves
        return LOG if command.startswith("journalctl") else ""

    def run(self, command: str) -> SimpleNamespace:
        if "is-active" in command:
            return SimpleNamespace(code=0, stdout="active\n")
        return SimpleNamespace(code=0 if self.canaries else 1, stdout="")


@pytest.fixture
def reboots(
    clean_rules: dict[str, str], reference_rules: dict[str, str], seen: Callable[..., Seen]
) -> Callable[..., tuple[Boot, MadeUp]]:
    def run(saves: set[str], started: dict[str, str] | None = None) -> tuple[Boot, MadeUp]:
        made_up = MadeUp(clean_rules, started or reference_rules, saves)
        made_up.canaries = started is None
        node = SimpleNamespace(
            connection=made_up,
            agent=made_up,
            machine=SimpleNamespace(name="node1"),
            host=SimpleNamespace(acceleration=SimpleNamespace(kvm=True)),
        )
        reference = reference_of(seen())
        boot = reboot.save_and_reboot(
            Paths(), cast("Node", node), "/save", reference, boot_limit=300, limit=180
        )
        return boot, made_up

    return run


def test_what_was_saved_and_is_back_is_kept(reboots: Callable[..., tuple[Boot, MadeUp]]) -> None:
    boot, made_up = reboots({"ipv4", "ipv6"})
    assert boot.kept
    assert boot.outcome.name == HEALTHY
    assert boot.service == "active"
    assert made_up.done[-1] == "clean"
    assert f"rm -f {reboot.WANTED}" in made_up.done


@pytest.mark.parametrize("saves", [set(), {"ipv4"}, {"ipv6"}])
def test_a_script_that_saves_nothing_of_a_family_has_lost_it(
    reboots: Callable[..., tuple[Boot, MadeUp]], saves: set[str]
) -> None:
    boot, _ = reboots(saves)
    assert not boot.kept
    for family, lost in boot.lost.items():
        assert bool(lost) == (family not in saves)
    assert "not back after a reboot" in boot.reason


def test_canaries_that_a_boot_flushed_are_not_waited_for_until_the_monitor_repairs_them(
    reboots: Callable[..., tuple[Boot, MadeUp]],
    clean_rules: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reboot, "CANARY_SECONDS", 0.0)
    monkeypatch.setattr(reboot, "LOOK_SECONDS", 0.0)
    boot, _ = reboots({"ipv4", "ipv6"}, started=clean_rules)
    assert boot.kept
    assert boot.outcome.name == RULES_LOST
