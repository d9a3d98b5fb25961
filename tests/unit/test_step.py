import pytest

from chainrace.race.step import footprint
from tests.unit.conftest import command

MAKES_GUARD = footprint(command("kubelet", "iptables -w 5 -N KUBE-FIREWALL -t filter", 0))


@pytest.mark.parametrize(
    "line",
    [
        "iptables -t filter -X",
        "iptables -F",
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
        "iptables -t raw -F",
        "iptables -P INPUT DROP",
        "iptables --version",
        "iptables-save -t nat",
    ],
)
def test_what_touches_another_family_table_or_part_does_not(line: str) -> None:
    assert not footprint(command("service", line, 0)).conflicts(MAKES_GUARD)


def test_two_that_only_read_do_not_conflict() -> None:
    one, other = (footprint(command("kubelet", "iptables -S -t nat", 0)) for _ in range(2))
    assert not one.conflicts(other)


def test_a_restore_depends_on_the_save_before_it() -> None:
    save = footprint(command("script", "iptables-save -t raw", 0))
    restore = footprint(command("service", "iptables-restore -t nat", 0))
    assert save.conflicts(restore)
