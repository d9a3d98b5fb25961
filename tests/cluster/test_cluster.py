"""`./lab cluster up` on the VM: a real API server, a node that it has, kube-proxy, pods' addresses.

Not beside tests/node: the node is another one. `pytest tests/cluster --nightly`.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainrace.base.paths import Paths
from chainrace.cluster import control_plane, joining
from chainrace.host import libvirt, namespace
from chainrace.host.shell import as_root
from tests.cluster.asking import SERVICE, answers, cluster_up, in_pod, lab, on_node, reaches, within

pytestmark = pytest.mark.nightly


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with cluster_up() as node:
        yield node


def test_the_node_is_ready_and_runs_the_kubelet_of_lab_toml(cluster: str) -> None:
    (node,) = json.loads(lab("kubectl", "get", "nodes", "--output=json"))["items"]
    assert node["metadata"]["name"] == cluster
    version = lab("kubectl", "version", "--output=json")
    server = json.loads(version)["serverVersion"]["gitVersion"]
    assert node["status"]["nodeInfo"]["kubeletVersion"] == server


def test_the_api_server_is_on_the_nodes_bridge_alone(cluster: str) -> None:
    assert cluster
    inside = ["ip", "netns", "exec", Paths().prefix, "ss", "-Hltn"]
    said = subprocess.run(as_root(inside), capture_output=True, text=True, check=True).stdout
    ours = {line.split()[3] for line in said.splitlines() if ":6443" in line or ":23" in line}
    assert ours == {f"{libvirt.GATEWAY}:6443", "127.0.0.1:2379", "127.0.0.1:2380"}
    # Where controllers and scheduler listen unless they are told not to.
    assert ":10257" not in said
    assert ":10259" not in said
    outside = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True, check=True).stdout
    assert ":6443" not in outside


def test_a_pod_has_an_address_of_azure_cni_and_answers_there(cluster: str) -> None:
    assert cluster
    said = lab("kubectl", "get", "pods", "--selector=component=web", "-A", "--output=json")
    (pod,) = json.loads(said)["items"]
    address = pod["status"]["podIP"]
    assert address in joining.pod_addresses(1)
    assert answers("", f"http://{address}/busybox")


def test_kubectl_reads_what_a_pod_says(cluster: str) -> None:
    assert cluster
    assert "dataplane" in lab("kubectl", "-n", "kube-system", "logs", "daemonset/azure-npm")


def test_a_service_answers_from_the_node_and_from_a_pod(cluster: str) -> None:
    assert cluster
    assert answers("", f"http://{SERVICE}/busybox")
    assert answers(in_pod("sleep"), f"http://{SERVICE}/busybox")


def test_azure_npm_enforces_a_policy_and_takes_it_back(cluster: str) -> None:
    assert cluster
    file, url = str(Path(__file__).with_name("deny.yaml")), f"http://{SERVICE}/busybox"
    assert reaches(in_pod("sleep"), url)
    lab("kubectl", "apply", "-f", file)
    assert within(lambda: not reaches(in_pod("sleep"), url))
    lab("kubectl", "delete", "-f", file)
    assert within(lambda: reaches(in_pod("sleep"), url))


def test_without_kube_proxy_rules_the_service_does_not_answer(cluster: str) -> None:
    """What the test before proves turns red where it is broken."""
    assert cluster
    on_node(
        "iptables -t nat -D PREROUTING -j KUBE-SERVICES -m comment"
        " --comment 'kubernetes service portals'"
    )
    on_node(
        "iptables -t nat -D OUTPUT -j KUBE-SERVICES -m comment"
        " --comment 'kubernetes service portals'"
    )
    assert not reaches("", f"http://{SERVICE}/busybox")


def test_down_leaves_nothing() -> None:
    lab("down")
    assert not namespace.exists(Paths().prefix)
    assert not control_plane.folder(Paths()).exists()
