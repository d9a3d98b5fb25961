"""The host stays as it was: the lab's network is in a namespace of its own."""

import os
import pwd
import subprocess

import pytest
from testinfra.host import Host

from chainrace.base.paths import Paths
from chainrace.host import libvirt, sums
from chainrace.node.node import Node
from tests.node.fixtures import host_state


def test_the_hosts_interfaces_packet_filters_and_settings_are_as_before(
    lab_node: Node, host_before: dict[str, str] | None
) -> None:
    assert lab_node.machine.is_up()
    if host_before is None:
        pytest.skip("the lab was up before this session")
    assert host_state() == host_before


def test_the_nodes_bridge_is_in_the_labs_namespace_only(lab_node: Node, paths: Paths) -> None:
    assert lab_node.machine.is_up()
    inside = subprocess.run(
        ["ip", "-n", paths.prefix, "-o", "link"], capture_output=True, text=True, check=True
    ).stdout
    assert libvirt.BRIDGE in inside
    assert libvirt.BRIDGE not in host_state()["interfaces"]


def test_nothing_of_the_lab_listens_on_the_hosts_tcp(lab_node: Node) -> None:
    assert lab_node.machine.is_up()
    listening = subprocess.run(["ss", "-Htlnp"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in listening.splitlines() if "qemu" in line or "libvirt" in line]


def test_the_node_knows_no_way_out_of_the_labs_own_network(host: Host) -> None:
    assert host.check_output("ip -4 route show default") == ""
    assert host.check_output("ip -6 route show default") == ""


def test_nothing_answers_the_node_but_dhcp(lab_node: Node, paths: Paths) -> None:
    assert lab_node.machine.is_up()
    said = subprocess.run(
        ["ip", "netns", "exec", paths.prefix, "ss", "-Htuln"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    # udp UNCONN 0 0 0.0.0.0%virbr-lab:67 0.0.0.0:*
    listening = {(line.split()[0], line.split()[4].rsplit(":", 1)[1]) for line in said.splitlines()}
    assert listening <= {("udp", "67")}


def test_no_screen_is_offered(lab_node: Node, paths: Paths) -> None:
    described = libvirt.virsh(paths, "dumpxml", lab_node.machine.domain)
    assert "<graphics" not in described
    assert "<video" not in described


def test_qemus_user_owns_disks_and_consoles_of_nodes_and_nothing_that_a_node_begins_with(
    lab_node: Node, paths: Paths
) -> None:
    assert lab_node.machine.is_up()
    qemu = pwd.getpwnam(libvirt.QEMU_USER).pw_uid
    # Images of older versions of the lab may lie in the store; no node begins with them.
    store = (paths.store / "volumes", lab_node.host.image.folder)
    places = (*store, paths.logs, paths.state / "libvirt" / "etc")
    owned = {one.name for place in places for one in place.rglob("*") if one.lstat().st_uid == qemu}
    assert f"{lab_node.machine.domain}.img" in owned
    assert not [one for one in owned if not one.startswith(f"{paths.prefix}-node")]
    folder = lab_node.host.image.folder
    begun_with = [folder / name for name in sums.read(folder)]
    begun_with += (paths.store / "volumes").glob("*_vagrant_box_image_*")
    assert len(begun_with) > 1
    for file in begun_with:
        assert (file.stat().st_uid, file.stat().st_mode & 0o777) == (0, 0o444), file


def test_the_labs_socket_and_folder_are_their_owners_alone(lab_node: Node, paths: Paths) -> None:
    assert lab_node.machine.is_up()
    for one, mode in ((paths.libvirt_socket, 0o600), (paths.state, 0o700)):
        assert (one.stat().st_uid, one.stat().st_mode & 0o777) == (os.getuid(), mode), one
    read_only = paths.run / "libvirt-sock-ro"
    assert not read_only.exists() or read_only.stat().st_mode & 0o077 == 0


def test_no_secret_stands_in_a_log(lab_node: Node, paths: Paths) -> None:
    assert lab_node.machine.is_up()
    # The first lines are the same in every key of this kind.
    secret = (paths.ssh / "id_ed25519").read_bytes().splitlines()[3]
    written = [*paths.logs.rglob("*"), *paths.results.rglob("*"), paths.vagrant_settings]
    for file in written:
        assert not file.is_file() or secret not in file.read_bytes(), file
    assert (paths.ssh / "id_ed25519").stat().st_mode & 0o077 == 0
