"""kube-proxy in nftables mode, on the VM: `pytest tests/cluster --nightly`."""

from collections.abc import Iterator

import pytest

from tests.cluster.asking import SERVICE, answers, cluster_up, in_pod, on_node, reaches

pytestmark = pytest.mark.nightly

URL = f"http://{SERVICE}/busybox"


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with cluster_up("--proxy-mode", "nftables") as node:
        yield node


def test_a_service_answers_from_the_node_and_from_a_pod(cluster: str) -> None:
    assert cluster
    assert answers("", URL)
    assert answers(in_pod("sleep"), URL)


def test_its_rules_are_in_a_table_of_its_own(cluster: str) -> None:
    assert cluster
    assert "chain services" in on_node("nft list table ip kube-proxy")
    assert "KUBE-SERVICES" not in on_node("iptables-save")


def test_without_its_table_the_service_does_not_answer(cluster: str) -> None:
    assert cluster
    on_node("nft delete table ip kube-proxy")
    assert not reaches("", URL)
