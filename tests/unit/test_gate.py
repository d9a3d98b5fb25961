"""The parts of the node's side that need no node."""

import os

import pytest

from chainrace.gate import process, rules, words


def test_a_plain_rule_set_has_no_counters_and_no_comments() -> None:
    text = "# by hand\n*filter\n:INPUT DROP [3:9]\n-A INPUT -j DROP\nCOMMIT\n"
    assert rules.plain(text) == ["*filter", "-A INPUT -j DROP", ":INPUT DROP", "COMMIT"]


@pytest.mark.parametrize(
    "program",
    ["iptables", "ip6tables", "iptables-save", "ip6tables-restore", "iptables-legacy", "nft"],
)
def test_programs_of_the_iptables_family_are_watched(program: str) -> None:
    assert process.PROGRAMS.match(program)


@pytest.mark.parametrize("program", ["sh", "ip", "kubelet", "nftables-thing", "iptablesque"])
def test_other_programs_are_not(program: str) -> None:
    assert not process.PROGRAMS.match(program)


def test_kubelets_words_are_understood() -> None:
    line = 'I1121 kubelet_network_linux.go:54] "Initialized iptables rules." protocol="IPv4"'
    found = words.INITIALISED.search(line)
    assert found
    assert found[1] == "IPv4"
    older = 'kubelet_network_linux.go:56] "Initialized iptables rules" protocol="IPv6"'
    assert words.INITIALISED.search(older)


def test_a_process_is_described_by_its_own_words() -> None:
    command = process.describe(os.getpid(), 1.5)
    assert command is not None
    assert command.actor == "other"
    assert "python" in command.program or "pytest" in command.program


def test_a_process_that_is_gone_is_nobody() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert process.describe(child, 0.0) is None
