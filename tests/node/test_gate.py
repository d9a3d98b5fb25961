"""The gate on the node: sees every iptables process, holds it, and lets go when it dies."""

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from chainrace.node.agent import Agent, RefusedError
from chainrace.node.node import Node

LIMIT = 60.0
SCRIPT = "/run/chainrace-own.sh"
BUSYBOX = Path("/bin/busybox")  # statically linked (busybox-static)


@pytest.fixture
def agent(lab_node: Node) -> Iterator[Agent]:
    """An agent of the test's own, over ssh: it may be killed."""
    with Agent(lab_node.connection) as agent:
        agent.ask("clean", timeout=300)
        yield agent


def arm(lab_node: Node, agent: Agent, lines: str, limit: float = LIMIT) -> dict[str, Any]:
    lab_node.connection.put(f"#!/bin/bash\n{lines}\n".encode(), SCRIPT)
    lab_node.connection.succeed(f"chmod 755 {SCRIPT}")
    agent.ask("arm", timeout=3 * limit, script=SCRIPT, lazy=["x"], limit=limit, boot=False)
    return walk(agent)


def walk(agent: Agent, *turns: tuple[str, int | None]) -> dict[str, Any]:
    seen: dict[str, Any] = agent.ask(
        "walk", timeout=10 * LIMIT, turns=turns, rules_too=True, evidence=True
    )
    return seen


def programs(view: dict[str, Any], actor: str = "script") -> list[str]:
    return [one["program"] for one in view["commands"] if one["actor"] == actor]


def test_both_actors_wait_at_their_first_step(lab_node: Node, agent: Agent) -> None:
    view = arm(lab_node, agent, "iptables -t raw -F")
    assert view["commands"] == []
    assert view["next"]["k"] == ["kubelet", "iptables", "--version"]
    assert view["next"]["s"] == ["script", "iptables", "-t", "raw", "-F"]
    walked = walk(agent, ("s", 1))
    assert [(one["actor"], one["code"]) for one in walked["commands"]] == [("script", 0)]
    assert walked["done"]["s"]
    agent.ask("release", timeout=LIMIT)


def test_each_form_of_the_programs_is_seen(lab_node: Node, agent: Agent) -> None:
    lines = [
        *("iptables -t raw -S", "ip6tables -t raw -S", "iptables-save", "ip6tables-save"),
        *("iptables-nft -t raw -S", "iptables-legacy --version", "nft list tables"),
        *("echo | iptables-restore --test", "iptables-nft-save", "ip6tables-legacy --version"),
    ]
    arm(lab_node, agent, "\n".join(f"{line} >/dev/null" for line in lines))
    view = walk(agent, ("s", None))
    assert programs(view) == [line.removeprefix("echo | ").split()[0] for line in lines]
    agent.ask("release", timeout=LIMIT)


def test_a_statically_linked_program_is_held_and_named(
    lab_node: Node, agent: Agent, host: Host
) -> None:
    static = "/usr/local/sbin/iptables-static"
    packed = base64.b64encode(BUSYBOX.read_bytes())
    lab_node.connection.put(packed, "/run/busybox.b64")
    host.check_output(f"base64 -d /run/busybox.b64 >{static} && chmod 755 {static}")
    try:
        view = arm(lab_node, agent, "iptables-static -t nat -F\nip6tables -t raw -F")
        assert view["next"]["s"] == ["script", "iptables-static", "-t", "nat", "-F"]
        view = walk(agent, ("s", 1))
        assert [one["code"] for one in view["commands"]] == [127]  # busybox knows no such applet
        assert view["next"]["s"] == ["script", "ip6tables", "-t", "raw", "-F"]
        agent.ask("release", timeout=LIMIT)
    finally:
        host.check_output(f"rm {static} /run/busybox.b64")


def test_in_a_pipeline_the_writer_comes_first(lab_node: Node, agent: Agent) -> None:
    arm(lab_node, agent, "iptables-save | grep -v kube | iptables-restore\niptables -t raw -F")
    view = walk(agent, ("s", None))
    assert programs(view) == ["iptables-save", "iptables-restore", "iptables"]
    agent.ask("release", timeout=LIMIT)


def test_stop_and_start_of_the_service_are_told_apart(lab_node: Node, agent: Agent) -> None:
    arm(lab_node, agent, "systemctl restart iptables")
    view = walk(agent, ("s", None))
    assert programs(view, "service stop")[0] == "iptables"
    assert programs(view, "service start")[-1] == "ip6tables-restore"
    agent.ask("release", timeout=LIMIT)


def test_a_service_that_the_script_does_not_wait_for_is_waited_for(
    lab_node: Node, agent: Agent
) -> None:
    arm(lab_node, agent, "systemctl --no-block restart iptables")
    view = walk(agent, ("s", None))
    assert programs(view, "service start")[-1] == "ip6tables-restore"
    agent.ask("release", timeout=LIMIT)


def test_a_script_that_never_ends_is_an_error_that_says_so(lab_node: Node, agent: Agent) -> None:
    with pytest.raises(RefusedError, match="the script has not ended and runs no iptables"):
        arm(lab_node, agent, "sleep 600", limit=10)


def test_when_the_gate_dies_nothing_stays_held(lab_node: Node, agent: Agent, host: Host) -> None:
    arm(lab_node, agent, "iptables -t raw -F\ntouch /run/script-went-on")
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
