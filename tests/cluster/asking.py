"""A cluster of this clone's, and what is asked of it."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chainrace.base.paths import Paths
from chainrace.host import libvirt

ROOT = Path(__file__).parents[2]
SERVICE = "10.0.0.80"
LIMIT = 1800.0
ANSWER_SECONDS = 60.0
# What busybox's web server answers with for a file of the image.
FETCH = "import sys, urllib.request as u; sys.stdout.write(str(u.urlopen(sys.argv[1]).status))"


def lab(*words: str) -> str:
    done = subprocess.run(
        [str(ROOT / "lab"), *words], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def on_node(command: str) -> str:
    return lab("ssh", "node1", "--", command)


def reaches(where: str, url: str) -> bool:
    """One try."""
    said = on_node(f"{where} timeout 10 python3 -c '{FETCH}' {url} 2>&1 || true")
    return said.endswith("200")


def answers(where: str, url: str) -> bool:
    """Whether an address answers, from the node or from within a network namespace of its."""
    return within(lambda: reaches(where, url))


def within(seen: Callable[[], bool]) -> bool:
    """Whether something comes to be before its limit."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        if seen():
            return True
    return False


def in_pod(command: str) -> str:
    """How to run something in the network namespace of the pod that runs a command."""
    return f"nsenter --net=/proc/$(pgrep -f '^/busybox {command}')/ns/net"


@contextmanager
def cluster_up(*options: str) -> Iterator[str]:
    """The node's name; a cluster that was up before is none of this test's."""
    assert not libvirt.is_running(Paths()), "something of this clone is up: ./lab down"
    try:
        lab("cluster", "up", *options)
        lab("kubectl", "apply", "-f", str(Path(__file__).with_name("web.yaml")))
        wait = ("--namespace=kube-system", "--timeout=300s")
        for name in ("web", "client"):
            lab("kubectl", "rollout", "status", f"daemonset/{name}", *wait)
        yield "node1"
    finally:
        lab("down")
