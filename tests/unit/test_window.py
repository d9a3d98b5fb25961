from collections.abc import Callable
from dataclasses import replace

from chainrace.model.trial import Seen
from chainrace.randomized.window import is_hit, sighting
from tests.unit.conftest import command

Build = Callable[..., Seen]

MAKES = command("kubelet", "iptables -w 5 -N KUBE-FIREWALL -t filter", 1.0)
JUMPS = command("kubelet", "iptables -w 5 -I OUTPUT -t filter -j KUBE-FIREWALL", 1.5)
LAST = command("kubelet", "iptables -w 5 -A KUBE-FIREWALL -t filter -j DROP", 1.8)
DELETES = command("service", "iptables -t filter -X", 1.2)


def test_a_delete_between_making_and_using_the_chain_hits(seen: Build) -> None:
    assert is_hit(seen(commands=(MAKES, DELETES, JUMPS)))


def test_a_bare_delete_means_the_filter_table_and_hits_too(seen: Build) -> None:
    assert is_hit(seen(commands=(MAKES, command("service", "iptables -X", 1.2), JUMPS)))


def test_a_restore_hits_but_not_one_that_flushes_nothing(seen: Build) -> None:
    restore = command("service", "iptables-restore", 1.2)
    gentle = command("service", "iptables-restore --noflush", 1.2)
    assert is_hit(seen(commands=(MAKES, restore, JUMPS)))
    assert not is_hit(seen(commands=(MAKES, gentle, JUMPS)))


def test_another_table_family_or_time_does_not_hit(seen: Build) -> None:
    for harmless in (
        command("service", "iptables -t nat -X", 1.2),
        command("service", "ip6tables -t filter -X", 1.2),
        command("service", "iptables -t filter -X", 1.6),
        command("service", "iptables -t filter -X", 0.5),
        command("service", "iptables -t filter -F", 1.2),
        command("kubelet", "iptables -t filter -X", 1.2),
    ):
        assert not is_hit(seen(commands=(MAKES, harmless, JUMPS)))


def test_a_delete_that_failed_because_the_chain_was_in_use_is_no_hit(seen: Build) -> None:
    assert not is_hit(seen(commands=(MAKES, replace(DELETES, code=4), JUMPS)))


def test_a_delete_that_overlaps_the_making_or_the_last_use_is_not_sure(seen: Build) -> None:
    early = replace(DELETES, started=1.02)
    late = replace(DELETES, started=1.48, ended=1.53)
    for unsure in (early, late):
        assert not is_hit(seen(commands=(MAKES, unsure, JUMPS)))


def test_a_trial_without_kubelets_chain_cannot_be_hit(seen: Build) -> None:
    assert not is_hit(seen(commands=(DELETES,)))


def test_a_sighting_tells_flush_and_guard(seen: Build) -> None:
    shown = sighting(seen(commands=(MAKES, DELETES, JUMPS, LAST)), failed=True)
    assert (shown.script_started, shown.flush, shown.guard_begin, shown.guard_end) == (
        0.3,
        1.2,
        1.05,
        1.8,
    )
    assert shown.failed


def test_a_sighting_says_none_for_what_was_not_seen(seen: Build) -> None:
    shown = sighting(seen(commands=(JUMPS,)), failed=False)
    assert (shown.flush, shown.guard_begin, shown.guard_end) == (None, None, None)
