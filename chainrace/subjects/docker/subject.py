"""Docker as a subject: its chains and jumps, and one container with a published port.

dockerd makes its chains and jumps once, at its start, by the iptables program, and again when
firewalld is reloaded (libnetwork/iptables/iptables.go and firewalld.go of Moby). It makes them
again in no other case: moby/moby#21327.
"""

from chainrace.model.neighbour import fetches
from chainrace.model.subject import Subject

# They change rules through iptables alone.
PROGRAMS = ("dockerd", "docker-init", "docker-proxy", "runc")
PORT = 8080

# The container is started again with dockerd: `--restart always`.
PREPARE = f"""set -e
mkdir -p /run/chainrace/web
cp "$(command -v busybox)" /run/chainrace/web/busybox
systemctl start docker.service
docker rm --force web 2>/dev/null || :
tar -C /run/chainrace/web -c busybox | docker import - web
docker run --detach --restart always --name web --publish {PORT}:80 web /busybox httpd -f -h /
systemctl stop docker.socket docker.service
"""

SUBJECT = Subject(
    "docker",
    "docker.service",
    check=fetches(PORT, "busybox"),
    packages=("busybox-static", "docker-cli", "docker.io"),
    programs=PROGRAMS,
    prepare=PREPARE,
    repairs="when it starts, and when firewalld is reloaded (libnetwork/iptables of Moby)",
    watch=60.0,
)
