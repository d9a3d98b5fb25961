"""A node from an empty host, and everything as it was found afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from chainrace.config import LabConfig
from chainrace.errors import LabError
from chainrace.host import libvirt, setup
from chainrace.host.setup import Step
from chainrace.node import backend
from chainrace.node.agent import Agent
from chainrace.node.identity import versions
from chainrace.node.line import port_of
from chainrace.node.machine import NODE, Machine
from chainrace.node.node import Node
from chainrace.node.ssh import Connection
from chainrace.paths import Paths

CLEAN_SECONDS = 300


@contextmanager
def libvirt_as_found(paths: Paths, *, keep: bool = False) -> Iterator[None]:
    """Afterwards the lab's libvirt runs only if it did before, or on `keep`."""
    was_up = libvirt.is_running(paths)
    try:
        yield
    finally:
        if not was_up and not keep:
            libvirt.stop(paths)


@contextmanager
def node_up(
    paths: Paths, config: LabConfig, step: Step, *, keep: bool, name: str = NODE
) -> Iterator[Node]:
    """A provisioned node with its clean state recorded.

    A node that was up before stays up; one that was brought up for this is removed
    afterwards with the libvirt that carried it, unless `keep`.
    """
    machine = Machine(paths, name)
    was_up = machine.is_up()
    with (
        libvirt_as_found(paths, keep=keep),
        _removed_afterwards(machine, step, keep=keep or was_up),
    ):
        host = setup.prepare(paths, config, step)
        with step(
            f"vagrant up {machine.name} ({host.acceleration.name}: {host.acceleration.reason})"
        ):
            machine.up(host)
        with (
            Connection(paths.ssh_config, machine.name) as connection,
            Agent(connection, port_of(paths, machine.domain)) as agent,
        ):
            with step(f"bringing {machine.name} to its clean state"):
                backend.use(connection, config.node.backend)
                said = versions(connection)
                agent.ask("clean", timeout=CLEAN_SECONDS)
            if said.kubelet != f"Kubernetes v{host.kubelet.version}":
                raise LabError(
                    f"{machine.name} runs {said.kubelet}, not {host.kubelet.version}",
                    "vagrant destroy -f, then run again",
                )
            identity = {
                **asdict(said),
                "backend": config.node.backend,
                "image": host.image.identity,
                "acceleration": host.acceleration.name,
            }
            yield Node(host, machine, connection, agent, identity)


@contextmanager
def _removed_afterwards(machine: Machine, step: Step, *, keep: bool) -> Iterator[None]:
    try:
        yield
    finally:
        if not keep and machine.is_up():
            with step(f"removing {machine.name}"):
                machine.destroy()
