from dataclasses import replace
from pathlib import Path

import pytest

from chainrace.base.errors import UsageError
from chainrace.judge.compared import Cut, Generation
from chainrace.report import kubelets, rows

CAUSE = "E1121 07:06:55.9 1681 kubelet_network_linux.go:92] Chain 'KUBE-FIREWALL' does not exist"
HEALTHY = Cut("s* k*", ("healthy",), "", signature=False, missing=())
FAILED = Cut("s1 k1 s* k*", ("init_failed",), CAUSE, signature=True, missing=("filter :X",))
ONE = Generation(
    version="1.34.4",
    backend="nft",
    containerd="containerd 1.7.24",
    steps={"ipv4": ("iptables -N A -t nat", "iptables -C B"), "ipv6": ()},
    chains={"ipv4": ("nat A",), "ipv6": ()},
    cuts=(HEALTHY, FAILED, FAILED),
)


def test_what_was_stored_is_read_again(tmp_path: Path) -> None:
    rows.store(tmp_path, kubelets.NAME, [ONE])
    (found,) = rows.load(tmp_path, kubelets.NAME, Generation)
    assert kubelets.draw([found]) == kubelets.draw([ONE])
    assert found.broken[0].schedule == FAILED.schedule


def test_the_page_names_the_cuts_the_chains_and_kubelets_words() -> None:
    page = kubelets.draw([ONE])
    assert "| 1.34.4 | nft | 2 | 0 | 1 to 2 | none | **yes** |" in page
    assert "- ipv4 makes, in this order: nat A\n- ipv6 makes, in this order: nothing" in page
    assert "- `Chain 'KUBE-FIREWALL' does not exist`" in page
    assert "     2 iptables -C B" in page


def test_a_kubelet_without_the_bug_is_told_so() -> None:
    assert "| none | none | no |" in kubelets.draw([replace(ONE, cuts=(HEALTHY,))])


def test_a_kubelet_that_does_not_start_is_told_so() -> None:
    page = kubelets.draw([replace(ONE, steps={}, chains={}, cuts=(), refused="no containerd 2")])
    assert "| 1.34.4 | nft | did not start |" in page
    assert "It did not come through a clean start: no containerd 2" in page


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        rows.load(tmp_path, kubelets.NAME, Generation)


def test_of_two_runs_of_one_kubelet_the_later_counts(tmp_path: Path) -> None:
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder, containerd in zip(folders, ("1.7", "2.0"), strict=True):
        folder.mkdir()
        rows.store(folder, kubelets.NAME, [replace(ONE, containerd=containerd)])
    other = replace(ONE, version="1.36.3")
    rows.store(folders[0], kubelets.NAME, [ONE, other])
    found = rows.merged(folders, kubelets.NAME, Generation, key=lambda one: one.version)
    assert [(one.version, one.containerd) for one in found] == [
        ("1.34.4", "2.0"),
        ("1.36.3", other.containerd),
    ]
