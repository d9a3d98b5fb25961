"""Looks at an image of the user's own before the lab lays anything on it."""

from chainrace.judge.exposure import MISSING, Found
from chainrace.node.ssh import Connection

# One command, for each costs a round trip; a line each, `name=value`. No look at a table:
# that would load modules. The kubelet that the lab links into /usr/local/bin is not the image's.
# What the image is, is asked once: later the node has what the lab, or a remedy, did to it.
QUESTION = """
kept=/usr/local/lib/chainrace/image.txt
[ ! -e "$kept" ] || { cat "$kept"; exit; }
mkdir -p "${kept%/*}"
{
. /etc/os-release
echo "distribution=$PRETTY_NAME"
echo "kernel=$(uname -r)"
echo "iptables=$(iptables --version 2>/dev/null)"
for backend in nft legacy; do
    command -v "iptables-$backend" >/dev/null && echo "backend=$backend"
done
echo "service=$(systemctl is-enabled iptables.service 2>/dev/null)"
for file in /usr/local/bin/kubelet /usr/local/bin/kubelet.image /usr/bin/kubelet \\
    /opt/bin/kubelet; do
    case $(readlink -f "$file") in /opt/binaries/*) continue ;; esac
    [ -x "$file" ] && echo "kubelet=$("$file" --version)" && break
done
echo "containerd=$(containerd --version 2>/dev/null)"
for program in python3 containerd iptables-save ip6tables-save nft ipset tar base64; do
    command -v "$program" >/dev/null || echo "lacks=$program"
done
} >"$kept.partial"
mv "$kept.partial" "$kept"
cat "$kept"
"""


def inspect(node: Connection, *, timeout: float) -> Found:
    """Wait until it has booted, then ask. `timeout` in seconds for the wait.

    Raises LabError when it does not answer.
    """
    # cloud-init is still at work when ssh comes up. Its code says whether some unit failed,
    # which is no business of the lab's.
    node.run("systemctl is-system-running --wait", timeout=timeout)
    said: dict[str, list[str]] = {}
    for line in node.succeed(QUESTION).splitlines():
        name, _, value = line.partition("=")
        said.setdefault(name, []).append(value.strip())

    def first(name: str) -> str:
        return said.get(name, [""])[0]

    service = first("service")
    return Found(
        distribution=first("distribution"),
        kernel=first("kernel"),
        iptables=first("iptables"),
        backends=tuple(said.get("backend", ())),
        # systemd before 253 says nothing, later ones `not-found`.
        service=MISSING if service in ("", "not-found") else service,
        kubelet=first("kubelet"),
        containerd=first("containerd"),
        lacks=tuple(said.get("lacks", ())),
    )
