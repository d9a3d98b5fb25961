"""`./lab cluster up`: a control plane, and a node that belongs to it."""

from pathlib import Path

from chainrace.base.errors import LabError, UsageError
from chainrace.base.paths import Paths
from chainrace.cluster import control_plane, joining, payload, programs, workloads
from chainrace.cluster.control_plane import ControlPlane
from chainrace.host import libvirt, packages, setup
from chainrace.host.holding import held
from chainrace.host.setup import Host, Step
from chainrace.node.machine import NODE, Machine
from chainrace.node.ssh import Connection
from chainrace.settings.config import LabConfig, with_packages


def up(
    paths: Paths, config: LabConfig, step: Step, mode: workloads.ProxyMode = workloads.IPTABLES
) -> None:
    """Bring up a control plane and its node; whatever fails, nothing of them stays.

    kube-proxy runs in one of its modes.

    Raises LabError, also where something of this clone is up already, and UsageError.
    """
    check(paths, config)
    with held(paths):
        refuse_second(paths)
        try:
            _up(paths, config, step, mode)
        except BaseException:
            down(paths)
            raise


def refuse_second(paths: Paths) -> None:
    """Raise LabError where something of this clone is up."""
    if libvirt.is_running(paths):
        raise LabError("something of this clone is up already", "./lab down, then try again")


def check_api_server(paths: Paths, config: LabConfig) -> None:
    """Refuse what no API server can stand beside, before anything is built."""
    if config.image is not None:
        raise UsageError(
            "a node beside an API server is of the lab's own image",
            "leave out --image, and [image]",
        )
    if config.kubelet.path is not None:
        raise UsageError(
            "of a kubelet's file nobody knows which control plane it fits",
            f"name a version: {', '.join(programs.served(paths))}",
        )
    programs.check(paths, config.kubelet.pinned)


def check(paths: Paths, config: LabConfig) -> None:
    """Refuse what no cluster can be made of, before anything is built."""
    check_api_server(paths, config)
    if config.backend == "legacy":
        raise UsageError("kube-proxy's image means nft by iptables", "leave out --backend legacy")


def _up(paths: Paths, config: LabConfig, step: Step, mode: workloads.ProxyMode) -> None:
    plane, _, _ = joined(paths, config, step)
    with (
        Connection(paths.ssh_config, NODE) as connection,
        step(f"{NODE}: kubelet starts, and registers"),
    ):
        connection.succeed("systemctl start kubelet.service")
        joining.wait_until_ready(plane, connection, NODE)
    with step(f"kube-proxy, as a DaemonSet, in {mode} mode"):
        workloads.apply(plane, workloads.kube_proxy(plane, mode))
        workloads.wait_until_rolled_out(plane, workloads.KUBE_PROXY)
    with step("azure-npm, as its maker ships it"):
        workloads.apply(plane, workloads.azure_npm(plane))
        workloads.wait_until_rolled_out(plane, workloads.AZURE_NPM)


def joined(paths: Paths, config: LabConfig, step: Step) -> tuple[ControlPlane, Host, Machine]:
    """A control plane, and a node with all that it needs to belong to it; kubelet has not started.

    Raises LabError.
    """
    config = with_packages(config, payload.NODE_PACKAGES)
    version = config.kubelet.pinned
    # The images of pods are built before `prepare`, and need them as it does.
    setup.install(paths, step, packages.LIST)
    files = programs.ensure(paths, version, step)
    host = setup.prepare(paths, config, step, payload.ensure(paths, version, step))
    plane = control_plane.start(paths, files, step)
    machine = Machine(paths, NODE, config.limits)
    with step(f"vagrant up {NODE} ({host.acceleration.name}: {host.acceleration.reason})"):
        machine.up(host)
    with (
        Connection(paths.ssh_config, NODE) as connection,
        step(f"laying the cluster's parts on {NODE}"),
    ):
        joining.lay(plane, connection, NODE, 1)
    return plane, host, machine


def down(paths: Paths) -> None:
    """End all that runs in the clone's namespace, a cluster too, and forget what that kept."""
    libvirt.stop(paths)
    control_plane.forget(paths)


def kubectl(paths: Paths) -> Path:
    """The kubectl of the cluster that runs. Raises LabError where none does."""
    if not (libvirt.is_running(paths) and control_plane.is_running(paths)):
        raise LabError("no cluster is up in this clone", "./lab cluster up")
    program = control_plane.folder(paths) / control_plane.KUBECTL
    if not program.exists():
        raise LabError(f"{program} is gone", "./lab down, then ./lab cluster up")
    return program
