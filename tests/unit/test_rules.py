from collections.abc import Callable

import pytest

from chainrace.model.rules import parse, sections


def test_kubelets_chains_jumps_and_guard_are_entries(sample: Callable[[str], str]) -> None:
    entries = parse(sample("reference.ipv4")).entries
    assert "mangle :KUBE-IPTABLES-HINT" in entries
    assert "filter -A INPUT -j KUBE-FIREWALL" in entries
    assert any(entry.startswith("filter -A KUBE-FIREWALL ! -s 127.0.0.0/8") for entry in entries)


def test_builtin_chains_counters_and_comments_do_not_count() -> None:
    one = parse("# a\n*filter\n:INPUT ACCEPT [0:0]\n:MINE - [0:0]\nCOMMIT\n")
    other = parse("*filter\n:INPUT DROP [7:99]\n:MINE - [3:4]\nCOMMIT\n# b\n")
    assert one == other


def test_the_same_chain_in_two_tables_is_two_entries(sample: Callable[[str], str]) -> None:
    canaries = [e for e in parse(sample("reference.ipv4")).entries if "CANARY" in e]
    assert sorted(canaries) == [
        "filter :KUBE-KUBELET-CANARY",
        "mangle :KUBE-KUBELET-CANARY",
        "nat :KUBE-KUBELET-CANARY",
    ]


def test_what_is_missing_is_named(sample: Callable[[str], str]) -> None:
    lost = parse(sample("reference.ipv4")).missing_from(parse(sample("clean.ipv4")))
    assert "mangle :KUBE-IPTABLES-HINT" in lost
    assert not parse(sample("clean.ipv4")).missing_from(parse(sample("reference.ipv4")))


@pytest.mark.parametrize("text", ["-A INPUT -j DROP", "*filter\nhello\nCOMMIT", "iptables: error"])
def test_what_is_no_rule_set_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="iptables-save"):
        parse(text)


def test_each_table_has_a_section_and_what_stands_outside_is_left_out() -> None:
    found = sections("# a\n*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n# b\n*nat\nCOMMIT\n")
    assert found == {
        "filter": "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n",
        "nat": "*nat\nCOMMIT\n",
    }
    assert sections("") == {}


def test_the_same_rule_twice_counts_once() -> None:
    """Whether it is there is what was promised; its order is judged by packets."""
    once = parse("*filter\n-A INPUT -j A\nCOMMIT\n")
    assert parse("*filter\n-A INPUT -j A\n-A INPUT -j A\nCOMMIT\n") == once
