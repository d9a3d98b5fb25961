"""The table of known bad lines."""

import pytest

from chainrace.judge.badlines import TABLE, Bad, known_bad_lines


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
