"""ssh into the nodes: a key of this clone's own, and the nodes' host key."""

from dataclasses import dataclass
from pathlib import Path

from chainrace.base.files import write_whole
from chainrace.base.paths import Paths
from chainrace.host import libvirt, namespace
from chainrace.host.shell import run

ROOT = "root"


@dataclass(frozen=True)
class Login:
    """Who logs in to a node, with which private key; the node's public one, empty: not known."""

    user: str
    private_key: Path
    host_key: str


def make(private: Path, comment: str) -> str:
    """Make an ed25519 pair unless it is there; returns the public key. Raises LabError."""
    if not private.exists():
        run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(private)],
            remedy="install openssh-client",
            timeout=30,
        )
    return private.with_suffix(".pub").read_text().strip()


def own(paths: Paths) -> tuple[Path, str]:
    """This clone's own private key and the public one, made if need be. Raises LabError."""
    paths.ssh.mkdir(parents=True, exist_ok=True)
    paths.ssh.chmod(0o700)
    private = paths.ssh / "id_ed25519"
    return private, make(private, paths.prefix)


def write_config(paths: Paths, login: Login, nodes: list[str]) -> None:
    """Write the ssh config of these nodes: `ssh -F .lab/ssh/config node1` works from then on."""
    known = paths.ssh / "known_hosts"
    addresses = [libvirt.node_address(number) for number in range(1, len(nodes) + 1)]
    write_whole(known, "".join(f"{at} {login.host_key}\n" for at in addresses if login.host_key))
    # The host key of an image that takes no seed is its own: what it shows first counts.
    # Nobody else is in the lab's network.
    checking = "yes" if login.host_key else "accept-new"
    write_whole(
        paths.ssh_config,
        "".join(
            # Vagrant knows a node by its address, and reads no known_hosts but the global.
            f"Host {name} {address}\n"
            f"  HostName {address}\n"
            f"  User {login.user}\n"
            f'  IdentityFile "{login.private_key}"\n'
            f"  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {known}\n"
            f"  GlobalKnownHostsFile {known}\n"
            f"  StrictHostKeyChecking {checking}\n"
            f"  LogLevel ERROR\n"
            f"  ProxyCommand {namespace.proxy_command(paths.prefix)}\n"
            for name, address in zip(nodes, addresses, strict=True)
        ),
    )
