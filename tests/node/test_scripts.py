"""What the two scripts do on a quiet node: what they save, and what they change."""

import pytest
from testinfra.host import Host

from chainrace.model.backends import LEGACY
from chainrace.model.protocol import Clean, Generation, Rules
from chainrace.model.rules import plain
from chainrace.node.node import Node

FOLDER = "/usr/local/lib/chainrace/save"
SAVED = {"ipv4": "/etc/systemd/scripts/ip4save", "ipv6": "/etc/systemd/scripts/ip6save"}


@pytest.fixture(autouse=True)
def clean(lab_node: Node) -> None:
    lab_node.agent.ask(Clean(), timeout=300)


def saved(host: Host) -> dict[str, list[str]]:
    return {family: plain(host.file(path).content_string) for family, path in SAVED.items()}


def test_the_fixed_script_changes_no_rule(host: Host, lab_node: Node) -> None:
    before = everything(host, lab_node)
    host.check_output(f"{FOLDER}/fixed.sh")
    assert everything(host, lab_node) == before


def everything(host: Host, lab_node: Node) -> tuple[object, ...]:
    """All rules of both backends, and the kernel's count of changes of nft's."""
    rules = lab_node.agent.ask(Rules(), timeout=60)
    return (
        host.check_output("nft --stateless list ruleset"),
        {family: plain(text) for family, text in rules.items()},
        lab_node.agent.ask(Generation(), timeout=60),
    )


def test_the_original_does_change_rules_so_the_check_above_can_fail(
    host: Host, lab_node: Node
) -> None:
    if lab_node.identity["backend"] == LEGACY:
        pytest.skip("the kernel counts no changes of the legacy backend's tables")
    before = lab_node.agent.ask(Generation(), timeout=60)
    host.check_output(f"{FOLDER}/original.sh")
    assert lab_node.agent.ask(Generation(), timeout=60) > before


def test_both_scripts_save_the_same_rules_of_both_families(host: Host, lab_node: Node) -> None:
    # A rule in each family that the image's own files do not have.
    host.check_output("iptables -A INPUT -s 192.0.2.1 -j DROP")
    host.check_output("ip6tables -A INPUT -s 2001:db8::1 -j DROP")
    now = {family: plain(text) for family, text in lab_node.agent.ask(Rules(), timeout=60).items()}
    host.check_output(f"{FOLDER}/fixed.sh")
    by_fixed = saved(host)
    host.check_output(f"{FOLDER}/original.sh")
    assert by_fixed == saved(host) == now
    assert any("192.0.2.1" in line for line in by_fixed["ipv4"])
    assert any("2001:db8::1" in line for line in by_fixed["ipv6"])


def test_what_the_original_saved_comes_back_by_the_service(host: Host, lab_node: Node) -> None:
    host.check_output("iptables -A INPUT -s 192.0.2.1 -j DROP")
    before = lab_node.agent.ask(Rules(), timeout=60)
    host.check_output(f"{FOLDER}/original.sh")
    after = lab_node.agent.ask(Rules(), timeout=60)
    for family in before:
        lost = set(plain(before[family])) - set(plain(after[family]))
        assert not lost
