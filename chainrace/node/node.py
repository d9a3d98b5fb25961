"""A node that is up and answers."""

from dataclasses import dataclass
from typing import Any

from chainrace.host.setup import Host
from chainrace.node.agent import Agent
from chainrace.node.machine import Machine
from chainrace.node.ssh import Connection


@dataclass(frozen=True)
class Node:
    """Its connection, its agent, what it is."""

    host: Host
    machine: Machine
    connection: Connection
    agent: Agent
    identity: dict[str, Any]
