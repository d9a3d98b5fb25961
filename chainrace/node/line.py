"""Two ways to talk to the agent on a node: its virtio-serial port, or ssh.

The port is a line of the virtual machine itself: it outlives a restored snapshot,
which ssh does not. A node without one (a user's own) is served by ssh.
"""

import os
import socket
import xml.etree.ElementTree as ET
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import paramiko

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.host import libvirt
from chainrace.host.shell import as_root, run
from chainrace.node.limit import Deadline
from chainrace.node.ssh import Connection, send

PORT = "org.chainrace.lab.0"
UNIT = "chainrace-gate"
PIECE = 1 << 20


class Line(Protocol):
    """Bytes to and from the agent. `survives_restore`: whether a snapshot may be restored."""

    survives_restore: bool

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send all of it. Raises OSError, past the deadline TimeoutError."""
        ...

    def receive(self, deadline: Deadline) -> bytes:
        """What has come by now, at least a byte; nothing at the end. Raises the same."""
        ...

    def last_words(self) -> str:
        """What the agent complained of when it ended, as far as that can be known."""
        ...

    def close(self) -> None: ...


class SshLine:
    """The agent as a command of an ssh connection."""

    survives_restore = False

    def __init__(self, connection: Connection, command: str) -> None:
        self._channel: paramiko.Channel = connection.open(f"exec env {command}")

    def send(self, data: bytes, deadline: Deadline) -> None:
        send(self._channel, data, deadline)

    def receive(self, deadline: Deadline) -> bytes:
        return _receive(self._channel, deadline)

    def last_words(self) -> str:
        said = self._channel.recv_stderr(1 << 16).decode(errors="replace").strip()
        return said.splitlines()[-1] if said else "it said nothing"

    def close(self) -> None:
        self._channel.close()


class PortLine:
    """The agent as a unit of the node, on the node's virtio-serial port."""

    survives_restore = True

    def __init__(self, connection: Connection, command: str, path: Path) -> None:
        """Connect to QEMU's end at `path`, then start the agent on the node's."""
        self._name = connection.name
        connection.run(f"systemctl stop {UNIT}")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        _connect(self._socket, path)
        connection.succeed(
            f"systemd-run --quiet --collect --unit={UNIT} env {command} /dev/virtio-ports/{PORT}"
        )

    def send(self, data: bytes, deadline: Deadline) -> None:
        send(self._socket, data, deadline)

    def receive(self, deadline: Deadline) -> bytes:
        return _receive(self._socket, deadline)

    def last_words(self) -> str:
        return f"see journalctl -u {UNIT} on {self._name}"

    def close(self) -> None:
        self._socket.close()


def _receive(end: socket.socket | paramiko.Channel, deadline: Deadline) -> bytes:
    """What has come by now. Raises OSError, past the deadline TimeoutError."""
    while True:
        end.settimeout(deadline.left())
        # The thread that breaks a request off sets a limit of its own meanwhile.
        with suppress(TimeoutError):
            return end.recv(PIECE)


def _connect(client: socket.socket, path: Path) -> None:
    if len(str(path)) <= libvirt.SOCKET_PATH_LIMIT:
        client.connect(str(path))
        return
    # libvirt's own folders make the path longer than a socket's address may be.
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        client.connect(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


def port_of(paths: Paths, domain: str) -> Path | None:
    """QEMU's end of a domain's port, as a path of the host; None where it has none.

    libvirt knows the socket by its path in the mount namespace it runs in.
    """
    described = ET.fromstring(libvirt.virsh(paths, "dumpxml", domain))  # noqa: S314 - libvirt's own
    for channel in described.iterfind("./devices/channel"):
        target, source = channel.find("target"), channel.find("source")
        if target is None or source is None or target.get("name") != PORT:
            continue
        inside = Path(source.get("path", ""))
        for root, here in (
            ("/var/lib/libvirt", paths.state / "libvirt" / "lib"),
            ("/run", paths.run),
        ):
            if inside.is_relative_to(root):
                path = here / inside.relative_to(root)
                if os.geteuid() != 0:
                    _open_to_this_user(paths, path)
                return path
    return None


def _open_to_this_user(paths: Paths, path: Path) -> None:
    """The socket is libvirt's, and QEMU's user has the folders above it.

    Not the first of them: it is this user's, and nobody else comes past it.
    """
    above = [str(one) for one in path.parents if paths.state in one.parents]
    remedy = f"see {path}"
    run(as_root(["chmod", "a+x", *above]), remedy=remedy, timeout=10)
    run(as_root(["chown", str(os.geteuid()), str(path)]), remedy=remedy, timeout=10)


def open_line(connection: Connection, command: str, port: Path | None) -> Line:
    """The better of the two ways. Raises LabError where neither works."""
    if port is None:
        return SshLine(connection, command)
    try:
        return PortLine(connection, command, port)
    except OSError as error:
        raise LabError(
            f"{connection.name}: its port {port} does not answer: {error}",
            "is another command using the node? else: vagrant destroy -f",
        ) from error
