"""A node from an empty host, and everything as it was found afterwards."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict

from chainrace.base.errors import LabError, UsageError
from chainrace.base.paths import Paths
from chainrace.base.text import clean
from chainrace.cluster import control_plane, joining, payload, programs
from chainrace.host import libvirt, setup
from chainrace.host.holding import held
from chainrace.host.setup import NODES, Step
from chainrace.model.protocol import Clean
from chainrace.node import backend
from chainrace.node.agent import Agent
from chainrace.node.identity import versions
from chainrace.node.inspection import inspect
from chainrace.node.line import port_of
from chainrace.node.machine import NODE, Machine, console_size
from chainrace.node.node import Booted, Node
from chainrace.node.ssh import Connection
from chainrace.run import cluster
from chainrace.settings.config import KubeletConfig, LabConfig
from chainrace.settings.keeping import Keeping

CLEAN_SECONDS = 300
# Kubernetes v1.34.4, Kubernetes v1.35.0-alpha.1+a63d6
KUBELET = re.compile(r"Kubernetes v[0-9]+\.[0-9]+\.[0-9]+\S*")


@contextmanager
def libvirt_as_found(paths: Paths, keeping: Keeping = Keeping()) -> Iterator[None]:  # noqa: B008
    """Afterwards the lab's libvirt runs only if it did before, or for a node that is kept."""
    was_up = libvirt.is_running(paths)
    try:
        yield
    finally:
        if not was_up and not keeping.stays:
            libvirt.stop(paths)


@contextmanager
def booted(
    paths: Paths, config: LabConfig, step: Step, keeping: Keeping, *, name: str = NODE
) -> Iterator[Booted]:
    """A node that answers; what an image of the user's own says it is.

    A node that was up before stays up; one that was brought up for this is removed
    afterwards with the libvirt that carried it, unless it is to be kept. An error counts as
    a failure; that an outcome is one, whoever judges it tells `keeping`.
    """
    with ExitStack() as stack:
        stack.enter_context(held(paths))
        machine = Machine(paths, name, config.limits)
        was_up = machine.is_up()
        stack.enter_context(libvirt_as_found(paths, keeping))
        stack.enter_context(_removed_afterwards(paths, machine, step, keeping, was_up=was_up))
        needed = {}
        if config.node.api_server:
            cluster.check_api_server(paths, config)
            needed = payload.proxy(paths, config.kubelet.pinned, step)
        host = setup.prepare(paths, config, step, needed)
        if needed:
            files = programs.ensure(paths, config.kubelet.pinned, step)
            plane = stack.enter_context(
                control_plane.beside(paths, files, step, lambda: keeping.stays)
            )
        # QEMU begins its file anew.
        said_before = console_size(paths.console(name)) if was_up else 0
        with step(
            f"vagrant up {machine.name} ({host.acceleration.name}: {host.acceleration.reason})"
        ):
            machine.up(host)
        connection = stack.enter_context(Connection(paths.ssh_config, machine.name))
        if needed:
            joining.lay_client(plane, connection, name, 1 + NODES.index(name))
        found = None
        if host.own:
            with step(f"looking at the image, once {machine.name} has booted"):
                found = inspect(connection, timeout=config.limits.boot)
        yield Booted(host, machine, connection, found, said_before)


@contextmanager
def provisioned(paths: Paths, config: LabConfig, step: Step, up: Booted) -> Iterator[Node]:
    """The same node with everything laid on it and its clean state recorded.

    Raises LabError, also for an image that lacks what the lab cannot bring.
    """
    name, connection = up.machine.name, up.connection
    if up.found:
        if up.found.lacks:
            raise LabError(
                f"the image has no {', no '.join(up.found.lacks)}",
                "docs/how-to/test-an-image.md says what an image needs",
            )
        with step(f"laying the lab's parts on {name}"):
            up.machine.provision()
    with Agent(connection, port_of(paths, up.machine.domain)) as agent:
        with step(f"bringing {name} to its clean state"):
            wanted = config.backend or (backend.meant_by(up.found.iptables) if up.found else None)
            if wanted:
                backend.use(connection, wanted)
            said = versions(connection)
            check_kubelet(name, config.kubelet, up.found.kubelet if up.found else "", said.kubelet)
            agent.ask(Clean(), timeout=CLEAN_SECONDS)
        identity = {
            **asdict(said),
            "backend": backend.in_use(connection),
            "image": up.host.image.identity,
            "acceleration": up.host.acceleration.name,
        }
        yield Node(**vars(up), agent=agent, identity=identity)


def check_kubelet(node: str, config: KubeletConfig, images: str, said: str) -> None:
    """Refuse a node that runs another kubelet than it was brought up for.

    `images` is what an image's own kubelet says, empty without one; `said` is what the node's
    says. Raises UsageError for a file of the user's that is no kubelet there, else LabError.
    """
    if config.path is not None:
        # Its version is its own; that it is this file, the node's disk says.
        if not KUBELET.fullmatch(said):
            raise UsageError(
                f"kubelet: {config.path} is no kubelet: asked for its version on {node}, it says "
                f"{said!r}",
                "name a kubelet's binary for x86-64 (amd64), or a version",
            )
        return
    wanted = images if images and not config.asked else f"Kubernetes v{config.pinned}"
    if said != wanted:
        runs = said or "no kubelet"
        raise LabError(f"{node} runs {runs}, not {wanted}", "vagrant destroy -f, then run again")


@contextmanager
def node_up(
    paths: Paths, config: LabConfig, step: Step, keeping: Keeping, *, name: str = NODE
) -> Iterator[Node]:
    """A node that can be worked with, as `booted` and `provisioned` bring it."""
    with (
        booted(paths, config, step, keeping, name=name) as up,
        provisioned(paths, config, step, up) as node,
    ):
        yield node


@contextmanager
def _removed_afterwards(
    paths: Paths, machine: Machine, step: Step, keeping: Keeping, *, was_up: bool
) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        keeping.failure = str(error)
        raise
    finally:
        if keeping.failure and keeping.shell and machine.is_up():
            print(clean(keeping.failure))
            print(f"a shell on {machine.name}; the command goes on at its end")
            subprocess.run(["ssh", "-F", paths.ssh_config, machine.name], check=False)
        if not was_up and not keeping.stays and machine.is_up():
            with step(f"removing {machine.name}"):
                machine.destroy()
