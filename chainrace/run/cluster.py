"""`./lab cluster up`: a control plane, and a node that belongs to it."""

from pathlib import Path

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.cluster import control_plane, joining, payload, programs, workloads
from chainrace.host import libvirt, setup
from chainrace.host.holding import held
from chainrace.host.setup import Step
from chainrace.node import backend
from chainrace.node.machine import NODE, Machine
from chainrace.node.ssh import Connection
from chainrace.settings.config import LabConfig, with_packages


def up(paths: Paths, config: LabConfig, step: Step) -> None:
    """Bring up what is missing of it; whatever fails, nothing that was begun stays.

    Raises LabError, UsageError.
    """
    version = config.kubelet.pinned  # of the user's own kubelet nobody knows one here
    programs.check(paths, version)
    config = with_packages(config, payload.NODE_PACKAGES)
    with held(paths):
        was_up = libvirt.is_running(paths)
        try:
            _up(paths, config, version, step)
        except BaseException:
            if not was_up:
                down(paths)
            raise


def _up(paths: Paths, config: LabConfig, version: str, step: Step) -> None:
    files = programs.ensure(paths, version, step)
    host = setup.prepare(paths, config, step, payload.ensure(paths, version, step))
    plane = control_plane.start(paths, files, step)
    machine = Machine(paths, NODE, config.limits)
    with step(f"vagrant up {NODE} ({host.acceleration.name}: {host.acceleration.reason})"):
        machine.up(host)
    with Connection(paths.ssh_config, NODE) as connection:
        if config.backend:
            backend.use(connection, config.backend)
        with step(f"laying the cluster's parts on {NODE}"):
            joining.lay(plane, connection, NODE, 1)
        with step(f"{NODE}: kubelet starts, and registers"):
            connection.succeed("systemctl start kubelet.service")
            joining.wait_until_ready(plane, connection, NODE)
    with step("kube-proxy, as a DaemonSet"):
        workloads.apply(plane, workloads.manifest(plane, "kube-proxy"))
        workloads.wait_until_rolled_out(plane, workloads.KUBE_PROXY)


def down(paths: Paths) -> None:
    """End all that runs in the clone's namespace, a cluster too, and forget what that kept."""
    libvirt.stop(paths)
    control_plane.forget(paths)


def kubectl(paths: Paths) -> Path:
    """The kubectl of the cluster that runs. Raises LabError where none does."""
    if not (libvirt.is_running(paths) and control_plane.is_running(paths)):
        raise LabError("no cluster is up in this clone", "./lab cluster up")
    return control_plane.folder(paths) / control_plane.KUBECTL
