"""What a node is: the versions that a verdict names."""

from dataclasses import dataclass

from chainrace.node.ssh import Connection

# One command, for each costs a round trip; a line each, `name=value`.
QUESTION = """
echo "kernel=$(uname -r)"
echo "iptables=$(iptables --version)"
echo "systemd=$(systemctl --version | head -n 1)"
echo "containerd=$(containerd --version)"
echo "kubelet=$(/usr/local/bin/kubelet --version)"
"""


@dataclass(frozen=True)
class Versions:
    """Each program's own word of what it is."""

    kernel: str
    iptables: str
    systemd: str
    containerd: str
    kubelet: str


def versions(node: Connection) -> Versions:
    """Ask the node. Raises LabError when it does not answer."""
    lines = node.succeed(QUESTION).splitlines()
    said = dict(line.split("=", 1) for line in lines if "=" in line)
    return Versions(**said)
