"""Whether a neighbour's packet reaches what listens on 127.0.0.1: kubelet's guard, by experiment.

kubelet drops such packets in KUBE-FIREWALL (CVE-2020-8558), which matters where route_localnet
is on, as kube-proxy sets it. The neighbour is a network namespace of the node with a link of its
own; it asks for a connection to 127.0.0.1. That the request came to the node is seen on the link
itself (packet(7), before any rule), and so is an answer.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from chainrace.gate.shell import NodeError, run

SPACE, HERE, THERE = "chainrace-n", "crguard0", "crguard1"
NODE, NEIGHBOUR = "192.0.2.1", "192.0.2.2"
ANY_PORT = 61321
MOST_PORTS = 6
_libc = ctypes.CDLL(None, use_errno=True)

# A request that has come is answered in the same softirq, or dropped: this long is plenty.
GRACE_SECONDS = 0.3
ARRIVES_SECONDS = 10.0
ROUTE_LOCALNET = "/proc/sys/net/ipv4/conf/all/route_localnet"
ETH_P_ALL = 0x0003
SYN, ACK = 0x02, 0x10
CLONE_NEWNET = 0x40000000
LEAST_BYTES, VERSION = 40, 4
# -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
NAMED = re.compile(r"^-A INPUT .*--dports? (\d+)[\d,:]* .*-j ACCEPT$", re.MULTILINE)


def ports_of(rules: str) -> list[int]:
    """Ports worth asking for: any one, and those that a rule of INPUT lets in."""
    named = sorted({int(found) for found in NAMED.findall(rules)})
    return [ANY_PORT, *named[: MOST_PORTS - 1]]


def reached(ports: list[int]) -> list[int]:
    """The ports of 127.0.0.1 at which a neighbour is answered. Raises NodeError."""
    with _neighbour(), ExitStack() as stack:
        seen = stack.enter_context(
            socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        )
        seen.bind((HERE, ETH_P_ALL))
        for port in ports:
            listener = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            with suppress(OSError):  # somebody listens there already
                listener.bind(("127.0.0.1", port))
                listener.listen(1)
        return [port for port in ports if _answered(seen, port)]


def _answered(seen: socket.socket, port: int) -> bool:
    asker = _ask(port)
    deadline, came = time.monotonic() + ARRIVES_SECONDS, False
    try:
        while time.monotonic() < deadline:
            seen.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                flags = _flags(seen.recv(65535), port)
            except TimeoutError:
                break
            if flags & SYN and flags & ACK:
                return True
            if flags & SYN and not came:
                came, deadline = True, time.monotonic() + GRACE_SECONDS
    finally:
        os.kill(asker, signal.SIGKILL)
        os.waitpid(asker, 0)
    if not came:
        raise NodeError(f"the neighbour's request for port {port} did not come to the node")
    return False


def _ask(port: int) -> int:
    """A child in the neighbour's namespace that asks for a connection; its pid."""
    child = os.fork()
    if child == 0:
        try:
            with open(f"/run/netns/{SPACE}", "rb") as space:
                if _libc.setns(space.fileno(), CLONE_NEWNET) == 0:
                    asks = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                    asks.settimeout(ARRIVES_SECONDS)
                    asks.connect(("127.0.0.1", port))
        finally:
            os._exit(0)
    return child


def _flags(packet: bytes, port: int) -> int:
    """The TCP flags of a packet from or to a port; 0 for any other packet."""
    if len(packet) < LEAST_BYTES or packet[0] >> 4 != VERSION or packet[9] != socket.IPPROTO_TCP:
        return 0
    start = (packet[0] & 15) * 4
    source, target = struct.unpack_from(">HH", packet, start)
    return packet[start + 13] if port in (source, target) else 0


@contextmanager
def _neighbour() -> Iterator[None]:
    """A namespace with a link to the node, its route to 127.0.0.1 over that; removed again."""
    _remove()
    before = _set(ROUTE_LOCALNET, "1")
    try:
        for line in (
            f"netns add {SPACE}",
            f"link add {HERE} type veth peer name {THERE} netns {SPACE}",
            f"address add {NODE}/30 dev {HERE}",
            f"link set {HERE} up",
            f"-n {SPACE} address add {NEIGHBOUR}/30 dev {THERE}",
            f"-n {SPACE} link set {THERE} up",
            f"-n {SPACE} route add 127.0.0.1/32 via {NODE}",
        ):
            run(["ip", *line.split()])
        run(["ip", "netns", "exec", SPACE, "sh", "-c", f"echo 1 >{ROUTE_LOCALNET}"])
        yield
    finally:
        _remove()
        _set(ROUTE_LOCALNET, before)


def _remove() -> None:
    for line in (f"netns delete {SPACE}", f"link delete {HERE}"):
        subprocess.run(["ip", *line.split()], stderr=subprocess.DEVNULL, check=False)


def _set(path: str, value: str) -> str:
    with open(path, "r+", encoding="ascii") as file:
        before = file.read().strip()
        file.seek(0)
        file.write(value)
    return before
