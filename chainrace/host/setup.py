"""Everything a node needs, in order: packages, image, kubelet, libvirt, settings."""

import base64
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from chainrace.config import LabConfig
from chainrace.files import write_json
from chainrace.host import (
    acceleration,
    binaries,
    box,
    image,
    keys,
    kubelet,
    libvirt,
    namespace,
    npm,
    packages,
)
from chainrace.host.acceleration import Acceleration
from chainrace.host.image import Image
from chainrace.host.kubelet import Kubelet
from chainrace.paths import LOGS_INSIDE, Paths

# The first is what `vagrant up` brings; the others help to explore.
NODES = ["node1", "node2", "node3", "node4"]

Step = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class Host:
    """A host made ready: what nodes will be made from."""

    image: Image
    kubelet: Kubelet
    disk: str  # kubelet's and azure-npm's, as QEMU sees it
    acceleration: Acceleration


def install(paths: Paths, step: Step, names: Path) -> None:
    """Install what of a list of packages is missing. Raises LabError."""
    absent = packages.missing(names)
    if absent:
        with step(f"installing {len(absent)} packages: {' '.join(absent)}"):
            packages.install(absent, paths.logs / "apt.log")


def prepare(paths: Paths, config: LabConfig, step: Step) -> Host:
    """Build and start whatever is missing. `step(text)` is entered around each part.

    Raises LabError or UsageError; what was whole before stays whole.
    """
    libvirt.check_place(paths)
    install(paths, step, packages.LIST)
    paths.store.mkdir(parents=True, exist_ok=True)
    with step("node image from provision/image (built when its recipe changed)"):
        built = image.ensure(paths)
        box_file = box.ensure(paths, built)
    with step(f"kubelet {config.kubelet.path or config.kubelet.version}"):
        binary = kubelet.ensure(paths, config.kubelet)
    with step(f"azure-npm {npm.VERSION}"):
        disk = binaries.ensure_disk(paths, {"kubelet": binary.path, **npm.ensure(paths).programs})
    with step("acceleration: does a probe guest boot with KVM?"):
        answer = acceleration.probe(paths, built)
    with step("the lab's own libvirt, in a network namespace of its own"):
        libvirt.start(paths, kvm=answer.kvm, nodes=len(NODES))
    public_key = keys.ensure(paths, built, NODES)
    settings = {
        "prefix": paths.prefix,
        "uri": paths.libvirt_uri,
        "socket": str(paths.libvirt_socket),
        "box": box.name(paths, built),
        "box_file": str(box_file),
        "kernel": built.inside("vmlinuz"),
        "initrd": built.inside("initrd.img"),
        "cmd_line": image.command_line(kvm=answer.kvm),
        "binaries_disk": disk,
        "driver": "kvm" if answer.kvm else "qemu",
        "cpu_mode": "host-passthrough" if answer.kvm else "maximum",
        "cpus": config.node.cpus,
        "memory_mib": config.node.memory_mib,
        "boot_seconds": config.limits.boot,
        "network": libvirt.NETWORK,
        "network_address": "10.77.0.0/24",
        "proxy_command": namespace.proxy_command(paths.prefix),
        "private_key": str(paths.ssh / "id_ed25519"),
        "public_key_base64": base64.b64encode(f"{public_key}\n".encode()).decode(),
        "nodes": [
            {
                "name": name,
                "mac": libvirt.node_mac(number),
                "console": str(LOGS_INSIDE / paths.console(name).name),
            }
            for number, name in enumerate(NODES, start=1)
        ],
    }
    write_json(paths.vagrant_settings, settings)
    return Host(built, binary, disk, answer)
