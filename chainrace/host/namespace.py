"""The network namespace of one clone: its nodes live there, and nothing leads out."""

import os
import time
from pathlib import Path

from chainrace.host.shell import as_root, run, send

REMEDY = "check that this user may create network namespaces (root, or sudo without a password)"

END_SECONDS = 20.0


def exists(name: str) -> bool:
    """Whether the named namespace is there (`ip netns` keeps it under /run/netns)."""
    return Path("/run/netns", name).exists()


def create(name: str) -> None:
    """Make the namespace with its loopback up; nothing happens where it exists."""
    if exists(name):
        return
    run(as_root(["ip", "netns", "add", name]), remedy=REMEDY, timeout=30)
    run(
        as_root(["ip", "-n", name, "link", "set", "lo", "up"]),
        remedy=REMEDY,
        timeout=30,
    )


def end_processes(name: str) -> None:
    """End every process that runs in the namespace: all of them are the lab's own."""
    for signal_name in ("TERM", "KILL"):
        deadline = time.monotonic() + END_SECONDS
        while pids := _processes(name):
            if time.monotonic() > deadline:
                break
            # One of them may end by itself meanwhile: that is no failure.
            send(pids, signal_name)
            time.sleep(0.1)


def _processes(name: str) -> list[str]:
    if not exists(name):
        return []
    return run(as_root(["ip", "netns", "pids", name]), remedy=REMEDY, timeout=30).split()


def delete(name: str) -> None:
    """Remove the namespace; nothing happens where it is not there."""
    if exists(name):
        run(as_root(["ip", "netns", "delete", name]), remedy=REMEDY, timeout=30)


def proxy_command(name: str) -> str:
    """The ssh ProxyCommand that reaches an address inside the namespace.

    `%h` and `%p` are ssh's own placeholders for host and port.
    """
    sudo = "" if os.geteuid() == 0 else "sudo -n "
    return f"{sudo}nsenter --net=/run/netns/{name} nc %h %p"
