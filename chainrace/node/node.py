"""A node that is up, and one that can be worked with."""

from dataclasses import dataclass
from typing import Any

from chainrace.host.setup import Host
from chainrace.judge.exposure import Found
from chainrace.node.agent import Agent
from chainrace.node.machine import Machine
from chainrace.node.ssh import Connection


@dataclass(frozen=True)
class Booted:
    """It has booted and answers. `found`: what an image of the user's own says it is.

    `console_from`: how long its console's file was before it was brought up.
    """

    host: Host
    machine: Machine
    connection: Connection
    found: Found | None
    console_from: int


@dataclass(frozen=True)
class Node(Booted):
    """Everything is laid on it; its agent, and what it is."""

    agent: Agent
    identity: dict[str, Any]
