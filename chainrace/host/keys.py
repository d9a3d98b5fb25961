"""ssh into the nodes: a key of this clone's own, and the nodes' host key."""

from chainrace.host import libvirt, namespace
from chainrace.host.image import Image
from chainrace.host.shell import run
from chainrace.paths import Paths


def ensure(paths: Paths, image: Image, nodes: list[str]) -> str:
    """Make the key pair if there is none, and write the ssh config of these nodes.

    Returns the public key. `ssh -F .lab/ssh/config node1` works from then on.
    """
    paths.ssh.mkdir(parents=True, exist_ok=True)
    paths.ssh.chmod(0o700)
    private = paths.ssh / "id_ed25519"
    if not private.exists():
        run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", paths.prefix, "-f", str(private)],
            remedy="install openssh-client",
            timeout=30,
        )
    known = "".join(
        f"{libvirt.node_address(number)} {image.host_key}\n" for number in range(1, len(nodes) + 1)
    )
    (paths.ssh / "known_hosts").write_text(known)
    paths.ssh_config.write_text(
        "".join(
            f"Host {name}\n"
            f"  HostName {libvirt.node_address(number)}\n"
            f"  User root\n"
            f"  IdentityFile {private}\n"
            f"  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {paths.ssh / 'known_hosts'}\n"
            f"  StrictHostKeyChecking yes\n"
            f"  LogLevel ERROR\n"
            f"  ProxyCommand {namespace.proxy_command(paths.prefix)}\n"
            for number, name in enumerate(nodes, start=1)
        )
    )
    return private.with_suffix(".pub").read_text().strip()
