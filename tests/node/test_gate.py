"""The gate on the node: holds each program of the script's, and lets go when it dies."""

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from testinfra.host import Host

from chainrace.model.protocol import Arm, Clean, Release, Turn, View, Walk, Words
from chainrace.node.agent import Agent, RefusedError
from chainrace.node.node import Node

LIMIT = 60.0
SCRIPT = "/run/chainrace-own.sh"
BUSYBOX = Path("/bin/busybox")  # statically linked (busybox-static)


@pytest.fixture
def agent(lab_node: Node) -> Iterator[Agent]:
    """An agent of the test's own, over ssh: it may be killed."""
    with Agent(lab_node.connection) as agent:
        agent.ask(Clean(), timeout=300)
        yield agent


def arm(lab_node: Node, agent: Agent, lines: str, limit: float = LIMIT) -> View:
    """The gate open, nothing begun yet."""
    lab_node.connection.put(f"#!/bin/bash\n{lines}\n".encode(), SCRIPT)
    lab_node.connection.succeed(f"chmod 755 {SCRIPT}")
    asked = Arm(SCRIPT, lazy=["x"], limit=limit, boot=False, fresh=False)
    agent.ask(asked, timeout=3 * limit)
    return walk(agent)


def walk(agent: Agent, *turns: Turn) -> View:
    asked = Walk(
        list(turns), entropy="", seconds=None, rules_too=True, evidence=False, places=False
    )
    return agent.ask(asked, timeout=10 * LIMIT)


def programs(view: View, actor: str = "script") -> list[str]:
    return [one["program"] for one in view["commands"] if one["actor"] == actor]


def line(words: Words) -> str:
    return " ".join((words["actor"], words["program"], *words["arguments"]))


def test_nothing_has_begun_when_the_gate_opens(lab_node: Node, agent: Agent) -> None:
    view = arm(lab_node, agent, "iptables -t raw -F")
    assert view["commands"] == []
    assert line(view["next"]["k"]) == "kubelet kubelet begins"
    assert line(view["next"]["s"]) == "script script begins"
    begun = walk(agent, ("k", 1), ("s", 1))
    assert line(begun["next"]["k"]) == "kubelet iptables --version"
    assert line(begun["next"]["s"]) == "script iptables -t raw -F"
    walked = walk(agent, ("s", 1))
    assert [one["code"] for one in walked["commands"]] == [0, 0, 0]
    assert walked["done"]["s"]
    assert walked["doubts"] == []
    agent.ask(Release(), timeout=LIMIT)


def test_no_unit_is_ended_by_a_default_limit_while_its_processes_are_held(
    lab_node: Node, agent: Agent
) -> None:
    arm(lab_node, agent, "true")
    show = "systemctl show -P TimeoutStopUSec -P TimeoutStartUSec iptables.service"
    assert lab_node.connection.succeed(show).split() == ["infinity", "infinity"]
    agent.ask(Release(), timeout=LIMIT)


def test_each_program_that_the_script_executes_is_held(lab_node: Node, agent: Agent) -> None:
    lines = [
        *("iptables -t raw -S", "ip6tables-save", "iptables-nft -t raw -S", "nft list tables"),
        *("echo | iptables-restore --test", "ip6tables-legacy --version", "sleep 0"),
        *("systemctl is-active kubelet", "env true"),
    ]
    arm(lab_node, agent, "\n".join(f"{one} >/dev/null" for one in lines))
    view = walk(agent, ("s", None))
    words = [one.removeprefix("echo | ").split()[0] for one in lines]
    assert programs(view) == ["script", *words, "true"]
    agent.ask(Release(), timeout=LIMIT)


def test_a_statically_linked_program_is_held_and_named(
    lab_node: Node, agent: Agent, host: Host
) -> None:
    static = "/usr/local/sbin/iptables-static"
    packed = base64.b64encode(BUSYBOX.read_bytes())
    lab_node.connection.put(packed, "/run/busybox.b64")
    host.check_output(f"base64 -d /run/busybox.b64 >{static} && chmod 755 {static}")
    try:
        arm(lab_node, agent, "iptables-static -t nat -F\nip6tables -t raw -F")
        view = walk(agent, ("s", 1))
        assert line(view["next"]["s"]) == "script iptables-static -t nat -F"
        view = walk(agent, ("s", 1))
        assert view["commands"][-1]["code"] == 127  # busybox knows no such applet
        assert line(view["next"]["s"]) == "script ip6tables -t raw -F"
        agent.ask(Release(), timeout=LIMIT)
    finally:
        host.check_output(f"rm {static} /run/busybox.b64")


def test_in_a_pipeline_the_writer_comes_first(lab_node: Node, agent: Agent) -> None:
    arm(lab_node, agent, "iptables-save | grep -v kube | iptables-restore\niptables -t raw -F")
    view = walk(agent, ("s", None))
    assert programs(view)[1:] == ["iptables-save", "grep", "iptables-restore", "iptables"]
    agent.ask(Release(), timeout=LIMIT)


@pytest.mark.parametrize("wait", ["", "--no-block"])
def test_what_a_service_does_because_of_the_script_is_the_scripts(
    lab_node: Node, agent: Agent, wait: str
) -> None:
    arm(lab_node, agent, f"systemctl {wait} restart iptables")
    view = walk(agent, ("s", None))
    assert programs(view, "iptables")[0] == "iptables.stop"
    assert programs(view, "iptables")[-1] == "ip6tables-restore"
    agent.ask(Release(), timeout=LIMIT)


def test_what_a_timer_of_the_scripts_does_later_is_the_scripts(
    lab_node: Node, agent: Agent
) -> None:
    arm(lab_node, agent, "systemd-run --quiet --on-active=1s iptables -t raw -F")
    view = walk(agent, ("s", None))
    assert programs(view, "transient unit") == ["iptables"]
    assert view["done"]["s"]
    agent.ask(Release(), timeout=LIMIT)


def test_what_nobody_known_changes_is_a_doubt(lab_node: Node, agent: Agent, host: Host) -> None:
    arm(lab_node, agent, "iptables -t raw -S >/dev/null")
    host.check_output("iptables -t raw -N STRANGER")
    view = walk(agent, ("s", None))
    assert any("iptables" in doubt and "ipv4/raw" in doubt for doubt in view["doubts"])
    agent.ask(Release(), timeout=LIMIT)


def test_a_script_that_never_ends_is_an_error_that_says_so(lab_node: Node, agent: Agent) -> None:
    arm(lab_node, agent, "sleep 600", limit=10)
    with pytest.raises(RefusedError, match="sleep sleeps"):
        walk(agent, ("s", None))


def test_when_the_gate_dies_nothing_stays_held(lab_node: Node, agent: Agent, host: Host) -> None:
    arm(lab_node, agent, "iptables -t raw -F\ntouch /run/script-went-on")
    walk(agent, ("k", 1), ("s", 1))
    assert not host.file("/run/script-went-on").exists
    host.check_output("pkill -KILL -f '[c]hainrace.gate$'")
    deadline = time.monotonic() + LIMIT
    while not host.file("/run/script-went-on").exists:
        assert time.monotonic() < deadline, "the script is still held"
        time.sleep(0.2)
    # kubelet too: it gets to the end of its initialisation.
    while "KUBE-KUBELET-CANARY" not in host.check_output("ip6tables-save -t filter"):
        assert time.monotonic() < deadline, "kubelet is still held"
        time.sleep(0.2)
    host.check_output("rm /run/script-went-on")
