"""The node is what it claims to be."""

import pytest
from testinfra.host import Host

from chainrace.model.backends import NFT, SAYS
from chainrace.node.node import Node
from chainrace.settings.config import LabConfig


def test_the_kernel_runs_under_systemd(host: Host) -> None:
    assert host.run("cat /proc/1/comm").stdout.strip() == "systemd"
    assert host.run("systemctl is-system-running --wait").stdout.strip() == "running"


@pytest.mark.parametrize("name", ["iptables", "nftables", "ipset", "containerd", "openssh-server"])
def test_the_parts_are_debians_packages(host: Host, name: str) -> None:
    assert host.package(name).is_installed


def test_the_manifest_names_what_is_installed(host: Host, lab_node: Node) -> None:
    manifest = (lab_node.host.image.folder / "manifest.txt").read_text().splitlines()
    installed = host.check_output("dpkg-query -W -f '${Package}=${Version}\n'").splitlines()
    assert sorted(manifest) == sorted(installed)


def test_both_backends_are_there_and_the_wanted_one_is_in_use(
    host: Host, config: LabConfig
) -> None:
    for program in ("iptables", "ip6tables"):
        assert SAYS[config.backend or NFT] in host.check_output(f"{program} --version")
    assert "nf_tables" in host.check_output("iptables-nft --version")
    assert "legacy" in host.check_output("iptables-legacy --version")


def test_iptables_service_is_on_and_ordered_only_after_the_network(host: Host) -> None:
    service = host.service("iptables")
    assert service.is_enabled
    assert service.is_running
    text = host.file("/usr/lib/systemd/system/iptables.service").content_string
    assert "After=network.target" in text.splitlines()
    assert "kubelet" not in "".join(line for line in text.splitlines() if not line.startswith("#"))


def test_nothing_else_flushes_rules_at_boot(host: Host) -> None:
    assert host.run("systemctl is-enabled nftables").stdout.strip() == "masked"


def test_kubelet_is_the_real_one_of_the_wanted_version(
    host: Host, lab_node: Node, config: LabConfig
) -> None:
    said = host.check_output("kubelet --version")
    assert said == lab_node.identity["kubelet"]
    assert config.kubelet.path or said == f"Kubernetes v{config.kubelet.pinned}"


def test_kubelet_is_not_started_by_the_boot(host: Host) -> None:
    assert host.run("systemctl is-enabled kubelet").stdout.strip() == "static"


def test_the_two_scripts_differ_by_the_restart_alone(host: Host) -> None:
    folder = "/usr/local/lib/chainrace/save"

    def code(name: str) -> list[str]:
        lines = host.file(f"{folder}/{name}").content_string.splitlines()
        return [line.strip() for line in lines if not line.startswith("#")]

    original, fixed = code("original.sh"), code("fixed.sh")
    assert [line for line in original if line not in fixed] == ["systemctl restart iptables"]
    assert [line for line in fixed if line not in original] == []


def test_the_lab_has_its_own_line_to_the_node(host: Host) -> None:
    assert host.file("/sys/class/virtio-ports").exists
    names = host.check_output("cat /sys/class/virtio-ports/*/name")
    assert "org.chainrace.lab.0" in names.splitlines()


def test_only_a_key_lets_one_in(host: Host) -> None:
    effective = host.check_output("sshd -T").splitlines()
    assert "passwordauthentication no" in effective


def test_the_node_knows_no_way_out(host: Host) -> None:
    assert "default" not in host.check_output("ip route")
