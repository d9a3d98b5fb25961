"""What the saved files are for: the rules come back with a boot, by iptables.service alone."""

import shlex
from collections.abc import Iterator

import pytest
from testinfra.host import Host

from chainrace.judge.verdict import FIXED, ORIGINAL
from chainrace.model.protocol import Clean, Rules
from chainrace.model.rules import plain
from chainrace.model.services import SAVED_FILE
from chainrace.node.node import Node
from chainrace.run.reboot import OWN
from chainrace.run.trials import SCRIPTS_ON_NODE
from tests.node.fixtures import reboot


@pytest.fixture(scope="module", autouse=True)
def clean(lab_node: Node) -> Iterator[None]:
    lab_node.agent.ask(Clean(), timeout=300)
    yield
    lab_node.agent.ask(Clean(), timeout=300)


@pytest.mark.parametrize("script", [FIXED, pytest.param(ORIGINAL, marks=pytest.mark.nightly)])
def test_what_a_script_saved_is_back_after_a_reboot(
    script: str, host: Host, lab_node: Node
) -> None:
    for command in OWN.values():
        host.check_output(command)
    host.check_output(SCRIPTS_ON_NODE[script])
    saved = {family: plain(host.file(path).content_string) for family, path in SAVED_FILE.items()}
    reboot(lab_node, host)
    after = {family: plain(text) for family, text in rules(lab_node).items()}
    for family, lines in saved.items():
        # The service makes tables that nothing was saved of; they are empty.
        assert set(lines) <= set(after[family])
        assert [line for line in after[family] if line.startswith("-A")] == [
            line for line in lines if line.startswith("-A")
        ]
    assert "192.0.2.1" in " ".join(after["ipv4"])
    assert host.service("iptables").is_running
    assert not host.service("kubelet").is_running


def rules(lab_node: Node) -> dict[str, str]:
    found: dict[str, str] = lab_node.agent.ask(Rules(), timeout=60)
    return found


# How a file is spoilt, and what systemd says of the service where it is IPv6's: the start
# script's code is that of its last command. A directory reads like an empty file.
SPOILS = {
    "missing": ("rm {file}", "failed"),
    "empty": (": >{file}", "active"),
    "truncated": ("sed -i /COMMIT/d {file}", "failed"),
    "unreadable": ("rm {file} && mkdir {file}", "active"),
}


@pytest.mark.parametrize("spoilt", SPOILS)
@pytest.mark.parametrize("family", SAVED_FILE)
def test_a_spoilt_file_closes_its_family_and_mostly_nobody_is_told(
    family: str, spoilt: str, host: Host
) -> None:
    command, told_of_ipv6 = SPOILS[spoilt]
    state, rules = restarted(host, family, command)
    assert ":INPUT DROP" in rules
    assert not any(line.startswith("-A") for line in rules)
    assert state == (told_of_ipv6 if family == "ipv6" else "active")


def restarted(host: Host, family: str, spoil: str) -> tuple[str, list[str]]:
    """The service's state and the family's rules after a restart with a spoilt file.

    In one command, with everything put back at its end: ssh is shut out meanwhile.
    """
    file = SAVED_FILE[family]
    save = "iptables-save" if family == "ipv4" else "ip6tables-save"
    script = f"""
        cp {file} /run/kept
        {spoil.format(file=file)}
        systemctl restart iptables 2>/dev/null
        systemctl is-active iptables >/run/state
        {save} -t filter >/run/rules
        rm -rf {file}
        cp /run/kept {file}
        systemctl restart iptables
    """
    host.check_output(f"systemd-run --quiet --wait sh -c {shlex.quote(script)}")
    state = host.file("/run/state").content_string.strip()
    return state, plain(host.file("/run/rules").content_string)
