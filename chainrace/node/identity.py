"""What a node is: the versions that a verdict names."""

from dataclasses import dataclass, fields

from chainrace.node.ssh import Connection

QUESTION_SECONDS = 120
# One command, for each costs a round trip; a line each, `name=value`. Kubelet may be a file of the
# user's, which does anything: that it ends is seen to, and of what it says the first line counts.
QUESTION = """
echo "kernel=$(uname -r)"
echo "iptables=$(iptables --version)"
echo "systemd=$(systemctl --version | head -n 1)"
echo "containerd=$(containerd --version)"
echo "kubelet=$(timeout 60 /usr/local/bin/kubelet --version 2>&1 | head -c 1000 | head -n 1)"
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
    """Ask the node; of what says nothing the version is empty. Raises LabError."""
    lines = node.succeed(QUESTION, timeout=QUESTION_SECONDS).splitlines()
    said = dict(line.split("=", 1) for line in lines if "=" in line)
    return Versions(**{one.name: said.get(one.name, "").strip() for one in fields(Versions)})
