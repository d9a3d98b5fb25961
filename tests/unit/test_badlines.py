"""The table of known bad lines."""

import pytest

from chainrace.judge.badlines import TABLE, Bad, Expected, known_bad_lines


@pytest.mark.parametrize("bad", TABLE, ids=lambda bad: bad.means)
def test_each_pattern_matches_its_sample_and_no_other_does(bad: Bad) -> None:
    (found,) = known_bad_lines("node1", f"all is well\n{bad.sample}\n{bad.sample}\n")
    assert (found.means, found.times, found.first) == (bad.means, 2, bad.sample.strip())


def test_an_ordinary_boot_has_none() -> None:
    text = """[    0.0] Linux version 6.12.57+deb13-cloud-amd64 (debian-kernel@lists.debian.org)
[    3.1] EXT4-fs (vda): mounted filesystem ro with ordered data mode. Quota mode: none.
[    5.0] systemd[1]: Started containerd.service - containerd container runtime.
I1121 07:06:56.0 1681 kubelet_network_linux.go:54] "Initialized iptables rules." protocol="IPv6"
E1121 07:06:55.9 1681 kubelet.go:1] "Failed to ensure that OUTPUT chain jumps to KUBE-FIREWALL"
"""
    assert known_bad_lines("node1", text) == []


def test_a_line_that_a_scenario_expects_is_told_with_its_reason_behind_the_others() -> None:
    lines = [
        "[  31.0] traps: probe[900] trap int3 ip:5",
        "[  32.0] iptables[901]: segfault at 0 ip 00007f error 4 in libxtables.so.12",
        "[  33.0] probe[902]: segfault at 0",
    ]
    found = known_bad_lines(
        "node1", "\n".join(lines), [Expected("probe[", "it crashes on purpose")]
    )
    assert [(one.times, one.first, one.expected) for one in found] == [
        (1, lines[1], ""),
        (2, lines[0], "it crashes on purpose"),
    ]
