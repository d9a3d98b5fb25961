"""The host stays as it was: the lab's network is in a namespace of its own."""

import subprocess

from chainrace.host import libvirt
from chainrace.node.node import Node
from chainrace.paths import Paths
from tests.node.fixtures import host_network


def test_the_hosts_interfaces_and_packet_filters_are_as_before(
    lab_node: Node, host_before: dict[str, str]
) -> None:
    assert lab_node.machine.is_up()
    assert host_network() == host_before


def test_the_nodes_bridge_is_in_the_labs_namespace_only(lab_node: Node, paths: Paths) -> None:
    assert lab_node.machine.is_up()
    inside = subprocess.run(
        ["ip", "-n", paths.prefix, "-o", "link"], capture_output=True, text=True, check=True
    ).stdout
    assert libvirt.BRIDGE in inside
    assert libvirt.BRIDGE not in host_network()["interfaces"]


def test_nothing_of_the_lab_listens_on_the_hosts_tcp(lab_node: Node) -> None:
    assert lab_node.machine.is_up()
    listening = subprocess.run(["ss", "-Htlnp"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in listening.splitlines() if "qemu" in line or "libvirt" in line]
