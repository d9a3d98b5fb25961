"""Everything a node needs, in order: packages, image, kubelet, libvirt, settings."""

import base64
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from chainrace.base.files import write_json
from chainrace.base.paths import LOGS_INSIDE, Paths
from chainrace.host import (
    acceleration,
    azure,
    binaries,
    box,
    image,
    keys,
    kubelet,
    libvirt,
    namespace,
    own_image,
    packages,
    seed,
)
from chainrace.host.acceleration import Acceleration
from chainrace.host.image import Image
from chainrace.host.keys import Login
from chainrace.settings.config import LabConfig, refuse_packages

# The first is what `vagrant up` brings; the others help to explore.
NODES = ["node1", "node2", "node3", "node4"]

Step = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class Host:
    """A host made ready: what nodes will be made from. `own`: a user's image, not the lab's."""

    image: Image
    own: bool
    disk: str  # kubelet's and azure-npm's, as QEMU sees it
    acceleration: Acceleration


def install(paths: Paths, step: Step, names: Path) -> None:
    """Install what of a list of packages is missing. Raises LabError."""
    absent = packages.missing(names)
    if absent:
        with step(f"installing {len(absent)} packages: {' '.join(absent)}"):
            packages.install(absent, paths.logs / "apt.log")


def check(paths: Paths, config: LabConfig) -> None:
    """Refuse what lab.toml or a call names and is not there, before anything is done for it.

    Raises UsageError for an image, a key or a kubelet, LabError for the clone's own place.
    """
    libvirt.check_place(paths)
    if config.image:
        refuse_packages(config)
        own_image.check(paths, config.image)
    kubelet.check(paths, config.kubelet)


def prepare(
    paths: Paths, config: LabConfig, step: Step, more: Mapping[str, Path] = MappingProxyType({})
) -> Host:
    """Build and start whatever is missing. `step(text)` is entered around each part.

    `more` are files for the node's disk besides, by their places there. Raises LabError or
    UsageError; what was whole before stays whole.
    """
    check(paths, config)
    install(paths, step, packages.LIST)
    paths.store.mkdir(parents=True, exist_ok=True)
    with step("node image from provision/image (built when its recipe changed)"):
        built = image.ensure(paths)
    if config.image:
        with step(f"a copy of {Path(config.image.path).name}"):
            chosen = own_image.ensure(paths, config.image)
    elif config.node.packages:
        with step(f"node image with {' '.join(config.node.packages)}"):
            chosen = image.ensure(paths, config.node.packages)
    else:
        chosen = built
    box_file = box.ensure(paths, chosen)
    with step(f"kubelet {config.kubelet.name}"):
        binary = kubelet.ensure(paths, config.kubelet)
    with step(f"azure-npm {azure.VERSION}"):
        programs = {"kubelet": binary, **azure.ensure(paths, azure.NPM), **more}
        disk = binaries.ensure_disk(paths, programs)
    with step("acceleration: does a probe guest boot with KVM?"):
        answer = acceleration.probe(paths, built)
    with step("the lab's own libvirt, in a network namespace of its own"):
        libvirt.start(paths, kvm=answer.kvm, nodes=len(NODES))
    private_key, public_key = keys.own(paths)
    login = _login(paths, config, chosen, private_key)
    keys.write_config(paths, login, NODES)
    settings = {
        "prefix": paths.prefix,
        "uri": paths.libvirt_uri,
        "socket": str(paths.libvirt_socket),
        "box": box.name(paths, chosen),
        "box_file": str(box_file),
        "boot": _boot(config, chosen, public_key, kvm=answer.kvm),
        # What provision/node/install.sh leaves alone.
        "own_image": config.image is not None,
        "own_kubelet": config.image is not None and not config.kubelet.asked,
        "binaries_disk": disk,
        "driver": "kvm" if answer.kvm else "qemu",
        "cpu_mode": "host-passthrough" if answer.kvm else "maximum",
        "cpus": config.node.cpus,
        "memory_mib": config.node.memory_mib,
        "boot_seconds": config.limits.boot,
        "network": libvirt.NETWORK,
        "network_address": "10.77.0.0/24",
        "proxy_command": namespace.proxy_command(paths.prefix),
        "user": login.user,
        "private_key": str(login.private_key),
        "ssh_config": str(paths.ssh_config),
        "verify_host_key": "always" if login.host_key else "accept_new",
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
    return Host(chosen, config.image is not None, disk, answer)


def _boot(config: LabConfig, chosen: Image, public_key: str, *, kvm: bool) -> dict[str, str]:
    """How a node boots: by the lab's own kernel, or as the user's image does by itself."""
    if not config.image:
        return {
            "kernel": chosen.inside("vmlinuz"),
            "initrd": chosen.inside("initrd.img"),
            "cmd_line": image.command_line(kvm=kvm),
        }
    found: dict[str, str] = {"bus": config.image.bus}
    if own_image.firmware(chosen) == "uefi":
        found["loader"] = own_image.UEFI
    if config.image.key is None:
        found["seed"] = seed.ensure(chosen, public_key)
    return found


def _login(paths: Paths, config: LabConfig, chosen: Image, private_key: Path) -> Login:
    """By the lab's key, which the image's seed brings, or as the user says."""
    if config.image and config.image.key is not None:
        return Login(config.image.user, paths.root / config.image.key, "")
    return Login(keys.ROOT, private_key, chosen.host_key)
