import pytest

from chainrace.race.step import footprint, reads_rules
from tests.unit.conftest import command

MAKES_GUARD = footprint(command("kubelet", "iptables -w 5 -N KUBE-FIREWALL -t filter", 0))


@pytest.mark.parametrize(
    "line",
    [
        "iptables -t filter -X",
        "iptables -t filter -E KUBE-FIREWALL other",
        "iptables -tfilter -X",
        "iptables-restore",
        "iptables-save",
        "iptables -S",
        "nft -f rules",
    ],
)
def test_what_touches_the_same_table_conflicts(line: str) -> None:
    assert footprint(command("service", line, 0)).conflicts(MAKES_GUARD)
    assert MAKES_GUARD.conflicts(footprint(command("service", line, 0)))


@pytest.mark.parametrize(
    "line",
    [
        "ip6tables -t filter -X",
        "ip6tables-restore",
        "iptables -tnat -X",
        "iptables --table=nat -X",
        "iptables -t raw -F",
        "iptables -P INPUT DROP",
        "iptables -Z",
        "iptables -F",
        "iptables -t filter -F",
        "iptables --version",
        "iptables-save -t nat",
    ],
)
def test_what_touches_another_family_table_or_part_does_not(line: str) -> None:
    assert not footprint(command("service", line, 0)).conflicts(MAKES_GUARD)


def test_two_that_only_read_do_not_conflict() -> None:
    one, other = (footprint(command("kubelet", "iptables -S -t nat", 0)) for _ in range(2))
    assert not one.conflicts(other)


JUMPS = footprint(command("kubelet", "iptables -I OUTPUT -t filter -j KUBE-FIREWALL", 0))


@pytest.mark.parametrize(
    "line", ["iptables -F", "iptables -X", "iptables -F OUTPUT", "iptables-restore -n"]
)
def test_a_jump_conflicts_with_what_empties_or_deletes_chains(line: str) -> None:
    assert footprint(command("service", line, 0)).conflicts(JUMPS)


def test_emptying_one_chain_asks_whether_it_is_there() -> None:
    assert footprint(command("script", "iptables -F KUBE-FIREWALL", 0)).conflicts(MAKES_GUARD)


def test_what_is_not_understood_touches_everything_of_its_family() -> None:
    odd = footprint(command("script", "iptables --new-fangled", 0))
    assert odd.conflicts(MAKES_GUARD)
    assert odd.conflicts(footprint(command("kubelet", "iptables -N A -t mangle", 0)))


def test_only_what_reads_and_does_not_write_tells_its_caller_of_rules() -> None:
    assert reads_rules(command("script", "iptables-save", 0))
    assert reads_rules(command("script", "iptables -C INPUT -j X", 0))
    assert not reads_rules(command("script", "iptables -X", 0))
    assert not reads_rules(command("script", "iptables --version", 0))
