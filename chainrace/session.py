"""One run of the lab from an empty host to a verdict, whatever happens in between."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from chainrace.chance import SCRIPTS_ON_NODE, ChanceRun, Limits, Tell
from chainrace.config import LabConfig
from chainrace.errors import LabError
from chainrace.host import libvirt, setup
from chainrace.host.setup import Host, Step
from chainrace.node.agent import Agent
from chainrace.node.identity import versions
from chainrace.node.machine import Machine
from chainrace.node.ssh import Connection
from chainrace.paths import Paths
from chainrace.race.verdict import Verdict, decide
from chainrace.report.results import ResultsFolder

CLEAN_SECONDS = 300


@dataclass(frozen=True)
class Node:
    """A node that is up and answers: its connection, its agent, what it is."""

    host: Host
    machine: Machine
    connection: Connection
    agent: Agent
    identity: dict[str, Any]


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
def node_up(paths: Paths, config: LabConfig, step: Step, *, keep: bool) -> Iterator[Node]:
    """A provisioned node with its clean state recorded.

    A node that was up before stays up; one that was brought up for this is removed
    afterwards with the libvirt that carried it, unless `keep`.
    """
    machine = Machine(paths)
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
        with Connection(paths.ssh_config, machine.name) as connection, Agent(connection) as agent:
            with step(f"bringing {machine.name} to its clean state"):
                said = versions(connection)
                agent.ask("clean", timeout=CLEAN_SECONDS)
            if said.kubelet != f"Kubernetes v{host.kubelet.version}":
                raise LabError(
                    f"{machine.name} runs {said.kubelet}, not {host.kubelet.version}",
                    "vagrant destroy -f, then run again",
                )
            identity = {
                **asdict(said),
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


def race(
    paths: Paths,
    config: LabConfig,
    node: Node,
    folder: ResultsFolder,
    *,
    pairs: int | None,
    budget: float | None,
    tell: Tell,
    scripts: Mapping[str, str] = SCRIPTS_ON_NODE,
) -> Verdict:
    """Run the trials and write verdict.json, also when interrupted or broken midway.

    `budget` in seconds. An interruption is passed on after the verdict on what was
    done so far has been written.
    """
    run = ChanceRun(
        agent=node.agent,
        folder=folder,
        console=paths.console(node.machine.name),
        limits=Limits(pairs, budget, config.limits.trial),
        tell=tell,
        seed=random.SystemRandom().getrandbits(32),
        scripts=scripts,
    )
    finished = False
    try:
        run.run(run.take_reference())
        finished = True
    finally:
        verdict = decide(record.judged() for record in run.records)
        about = {**node.identity, "seed": run.seed, "window": run.window}
        folder.conclude(verdict, about, interrupted=not finished)
    return verdict
