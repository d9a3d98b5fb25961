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
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from chainrace.gate.shell import NodeError, run
from chainrace.model.neighbour import NEIGHBOUR, NODE, SPACE

HERE, THERE = "crguard0", "crguard1"
ANY_PORT = 61321
MOST_PORTS = 6
_libc = ctypes.CDLL(None, use_errno=True)

HERE_AT, THERE_AT = "02:00:00:00:00:01", "02:00:00:00:00:02"
ARRIVES_SECONDS = 10.0
ROUTE_LOCALNET = "/proc/sys/net/ipv4/conf/all/route_localnet"
ETH_P_ALL, ETH_P_IP, ETH_P_ARP = 0x0003, 0x0800, 0x0806
# RFC 826: kinds of address, their lengths, operation; hardware and protocol address of both
ARP_REQUEST = struct.Struct(">HHBBH6s4s6s4s")
ARP_REPLY = b"\x00\x02"
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
    with neighbour(), ExitStack() as stack:
        seen = stack.enter_context(
            socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        )
        seen.bind((HERE, ETH_P_ALL))
        for port in ports:
            listener = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            with suppress(OSError):  # somebody listens there already
                listener.bind(("127.0.0.1", port))
                listener.listen(1)
        stack.callback(os.waitpid, _ask(ports), 0)
        return _answered(seen, ports)


def _answered(seen: socket.socket, ports: list[int]) -> list[int]:
    """The ports that were answered before the question that the neighbour asked last was.

    Where rules drop that question, too, those that were answered within `ARRIVES_SECONDS`.
    """
    came: set[int] = set()
    answered: set[int] = set()
    deadline = time.monotonic() + ARRIVES_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        seen.settimeout(left)
        try:
            packet, about = seen.recvfrom(65535)
        except TimeoutError:
            break
        if about[1:3] == (ETH_P_ARP, socket.PACKET_OUTGOING) and packet[6:8] == ARP_REPLY:
            break
        source, target, flags = _tcp(packet)
        if flags & SYN and flags & ACK:
            answered.add(source)
        elif flags & SYN:
            came.add(target)
    if missing := set(ports) - came:
        raise NodeError(f"the neighbour's request for port {min(missing)} did not come to the node")
    return [port for port in ports if port in answered]


def _ask(ports: list[int]) -> int:
    """A child in the neighbour's namespace that asks for connections; its pid.

    It asks last whose the node's address is. All is sent by one processor, whose packets the node
    takes in one after the other (process_backlog in net/core/dev.c of Linux): when that is
    answered, each request before it has been answered or dropped.
    """
    child = os.fork()
    if child == 0:
        try:
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            with open(f"/run/netns/{SPACE}", "rb") as space:
                if _libc.setns(space.fileno(), CLONE_NEWNET) == 0:
                    _send(ports)
        finally:
            os._exit(0)
    return child


def _send(ports: list[int]) -> None:
    with ExitStack() as stack:
        for port in ports:
            asks = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            asks.settimeout(0)
            asks.connect_ex(("127.0.0.1", port))
        last = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM))
        own = bytes(int(part, 16) for part in THERE_AT.split(":"))
        asked = ARP_REQUEST.pack(
            1, ETH_P_IP, 6, 4, 1, own, socket.inet_aton(NEIGHBOUR), b"", socket.inet_aton(NODE)
        )
        last.sendto(asked, (THERE, ETH_P_ARP, 0, 0, b"\xff" * 6))


def _tcp(packet: bytes) -> tuple[int, int, int]:
    """The ports and the TCP flags of a packet; zeros for any other packet."""
    if len(packet) < LEAST_BYTES or packet[0] >> 4 != VERSION or packet[9] != socket.IPPROTO_TCP:
        return 0, 0, 0
    start = (packet[0] & 15) * 4
    source, target = struct.unpack_from(">HH", packet, start)
    return source, target, packet[start + 13]


@contextmanager
def neighbour() -> Iterator[None]:
    """A namespace with a link to the node, its route to 127.0.0.1 over that; removed again."""
    _remove()
    before = _set(ROUTE_LOCALNET, "1")
    try:
        for line in (
            f"netns add {SPACE}",
            f"link add {HERE} address {HERE_AT} type veth peer name {THERE} netns {SPACE}",
            f"-n {SPACE} link set {THERE} address {THERE_AT}",
            f"address add {NODE}/30 dev {HERE}",
            f"link set {HERE} up",
            f"neighbour add {NEIGHBOUR} lladdr {THERE_AT} dev {HERE} nud permanent",
            f"-n {SPACE} address add {NEIGHBOUR}/30 dev {THERE}",
            f"-n {SPACE} link set {THERE} up",
            f"-n {SPACE} neighbour add {NODE} lladdr {HERE_AT} dev {THERE} nud permanent",
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
