"""The lab's own libvirtd: started, found and ended without the host's.

It runs in the clone's network namespace and in a mount namespace in which its
folders are the lab's (see libvirtd.sh). PID 1 need not be systemd.
"""

import os
import re
import socket
import time
from contextlib import suppress
from pathlib import Path
from xml.sax.saxutils import escape

from chainrace.base.errors import LabError
from chainrace.base.files import write_whole
from chainrace.base.paths import STORE_INSIDE, Paths
from chainrace.host import namespace
from chainrace.host.shell import MARK, as_root, run, tail

# Addresses are the same in each clone: each has a network namespace of its own.
NETWORK = "chainrace"
BRIDGE = "virbr-lab"
GATEWAY = "10.77.0.1"
QEMU_USER = "libvirt-qemu"  # and its group; libvirtd.sh tells libvirt so
SOCKET_PATH_LIMIT = 107  # sun_path of AF_UNIX, unix(7)
START_SECONDS = 60.0


def node_address(number: int) -> str:
    """The address of node `number` (1, 2, …) in the lab's network."""
    return f"10.77.0.{10 + number}"


def node_mac(number: int) -> str:
    """The MAC address by which the network knows node `number`."""
    return f"52:54:00:77:00:{10 + number:02x}"


def is_running(paths: Paths) -> bool:
    """Whether the lab's libvirtd answers at its socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(paths.libvirt_socket))
        except OSError:
            return False
    return True


def virsh(paths: Paths, *words: str, timeout: float = 60) -> str:
    """Run one virsh command against the lab's daemon and return what it prints."""
    return run(
        ["virsh", "--quiet", "--connect", paths.libvirt_uri, *words],
        remedy=f"see {paths.logs / 'libvirtd.log'}, or start anew: ./lab down",
        timeout=timeout,
    )


def check_place(paths: Paths) -> None:
    """Raise LabError where the clone's own path cannot carry a lab."""
    if len(str(paths.libvirt_socket)) > SOCKET_PATH_LIMIT:
        raise LabError(
            f"the path of this clone is too long for a socket in it: {paths.root}",
            "clone into a shorter path (79 characters at the most)",
        )
    if not re.fullmatch(r"[\w./+-]+", str(paths.root)):  # /home/me/chain-race
        raise LabError(
            f"the path of this clone does not fit into a libvirt address: {paths.root}",
            "clone into a path of letters, digits and ./_+-",
        )


def start(paths: Paths, *, kvm: bool, nodes: int) -> None:
    """Bring up namespace, daemon, network and storage pool; whatever is up stays.

    `kvm` is what the probe said of this host; `nodes` how many addresses to reserve.
    Raises LabError when the daemon does not come up.
    """
    if not is_running(paths):
        _forget_older_boots(paths)
        namespace.create(paths.prefix)
        _launch(paths, kvm=kvm)
    _ensure_network(paths, nodes)
    _ensure_pool(paths)


def _forget_older_boots(paths: Paths) -> None:
    """Empty the lab's /run after a reboot of the host, which its own /run would not outlive.

    The process ids in it would name other processes by now.
    """
    now = Path("/proc/sys/kernel/random/boot_id").read_text()
    kept = paths.state / "boot_id"
    if kept.exists() and kept.read_text() != now:
        _remove_run(paths)
    paths.state.mkdir(parents=True, exist_ok=True)
    write_whole(kept, now)


def _launch(paths: Paths, *, kvm: bool) -> None:
    paths.logs.mkdir(parents=True, exist_ok=True)
    run(
        as_root(
            [
                *("env", "-u", MARK),  # it outlives the command
                *("ip", "netns", "exec", paths.prefix),
                *("unshare", "--mount"),
                str(Path(__file__).with_name("libvirtd.sh")),
                str(paths.state),
                str(os.getuid()),
                "keep-kvm" if kvm else "hide-kvm",
            ]
        ),
        remedy=f"see {paths.logs / 'libvirtd-start.log'}",
        timeout=START_SECONDS,
        log=paths.logs / "libvirtd-start.log",
    )
    deadline = time.monotonic() + START_SECONDS
    while not is_running(paths):
        if time.monotonic() > deadline:
            raise LabError(
                "the lab's libvirtd started, but does not answer: "
                + tail(paths.logs / "libvirtd.log", 1),
                f"see {paths.logs / 'libvirtd.log'}",
            )
        time.sleep(0.05)


def _ensure_network(paths: Paths, nodes: int) -> None:
    if NETWORK in virsh(paths, "net-list", "--name").split():
        return
    hosts = "".join(
        f"<host mac='{node_mac(number)}' ip='{node_address(number)}'/>"
        for number in range(1, nodes + 1)
    )
    definition = paths.state / "network.xml"
    # No forward element: an isolated network. No spanning tree, no forwarding
    # delay: the node's first DHCP request must not wait for a bridge.
    write_whole(
        definition,
        f"<network><name>{NETWORK}</name>"
        f"<bridge name='{BRIDGE}' stp='off' delay='0'/>"
        f"<dns enable='no'/>"
        f"<ip address='{GATEWAY}' netmask='255.255.255.0'>"
        f"<dhcp><range start='10.77.0.100' end='10.77.0.199'/>{hosts}</dhcp>"
        f"</ip></network>",
    )
    if NETWORK in virsh(paths, "net-list", "--all", "--name").split():
        virsh(paths, "net-undefine", NETWORK)
    virsh(paths, "net-define", str(definition))
    virsh(paths, "net-start", NETWORK)
    # While the node boots nobody answers for its address: ask again after 0.2 s, not
    # 1 s, so that Vagrant's next try comes sooner.
    run(
        as_root(
            [
                *("ip", "-n", paths.prefix, "ntable", "change", "name", "arp_cache"),
                *("dev", BRIDGE, "retrans", "200"),
            ]
        ),
        remedy="see ip-ntable(8)",
        timeout=10,
    )


def _ensure_pool(paths: Paths) -> None:
    if "default" in virsh(paths, "pool-list", "--name").split():
        return
    (paths.store / "volumes").mkdir(parents=True, exist_ok=True)
    target = STORE_INSIDE / "volumes"
    definition = paths.state / "pool.xml"
    write_whole(
        definition,
        f"<pool type='dir'><name>default</name>"
        f"<target><path>{escape(str(target))}</path></target></pool>",
    )
    if "default" not in virsh(paths, "pool-list", "--all", "--name").split():
        virsh(paths, "pool-define", str(definition))
    virsh(paths, "pool-start", "default")


def domains(paths: Paths) -> list[str]:
    """The names of all domains the lab's daemon knows, running or not."""
    return virsh(paths, "list", "--all", "--name").split()


def remove_domain(paths: Paths, domain: str) -> None:
    """End a domain and forget it, with its snapshots."""
    if domain in virsh(paths, "list", "--name").split():
        virsh(paths, "destroy", domain)
    virsh(paths, "undefine", domain, "--snapshots-metadata", "--managed-save")


def remove_volume(paths: Paths, volume: str) -> None:
    """Delete a volume of the lab's pool; nothing happens where it is not there."""
    virsh(paths, "pool-refresh", "default")
    listed = virsh(paths, "vol-list", "default").splitlines()
    if volume in (line.split()[0] for line in listed if line.strip()):
        virsh(paths, "vol-delete", "--pool", "default", volume)


def stop(paths: Paths) -> None:
    """End every node, the network, the daemon and the namespace of this clone."""
    # One that does not answer is ended all the same, and the rest below.
    with suppress(LabError):
        if is_running(paths):
            for domain in domains(paths):
                remove_domain(paths, domain)
            if NETWORK in virsh(paths, "net-list", "--name").split():
                virsh(paths, "net-destroy", NETWORK)
    # libvirtd itself, and whatever outlived a libvirtd that was killed.
    namespace.end_processes(paths.prefix)
    namespace.delete(paths.prefix)
    _remove_rest(paths)


def _remove_rest(paths: Paths) -> None:
    """Remove the boxes' volumes, and what a killed libvirtd left: sockets, domains, disks."""
    own = paths.state / "libvirt"
    of_qemu = own / "lib" / "qemu"
    places = (own / "etc" / "qemu", of_qemu, of_qemu / "snapshot", of_qemu / "channel" / "target")
    there = [str(one) for one in (*places, paths.store / "volumes") if one.is_dir()]
    named = ("(", "-name", f"{paths.prefix}-*", "-o", "-name", "domain-*", ")")
    if there:
        run(
            as_root(["find", *there, "-maxdepth", "1", *named, "-exec", "rm", "-rf", "{}", "+"]),
            remedy=f"see {own}",
            timeout=60,
        )
    _remove_run(paths)


def _remove_run(paths: Paths) -> None:
    run(as_root(["rm", "-rf", str(paths.run)]), remedy=f"remove {paths.run}", timeout=60)
