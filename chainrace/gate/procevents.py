"""Tells of forks, of programs executed and of ends: the kernel's process-events connector.

No polling, and no parenthood needed. Source: linux/cn_proc.h, linux/connector.h.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import NamedTuple, Union

NETLINK_CONNECTOR = 11
CN_IDX_PROC = 1
CN_VAL_PROC = 1
PROC_CN_MCAST_LISTEN = 1
PROC_EVENT_FORK, PROC_EVENT_EXEC, PROC_EVENT_EXIT = 0x1, 0x2, 0x80000000
NLMSG_DONE = 3

NETLINK_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
CONNECTOR = struct.Struct("=IIIIHH")  # idx, val, seq, ack, length, flags
EVENT = struct.Struct("=IIQ")  # what, cpu, timestamp_ns (CLOCK_MONOTONIC)
FORK = struct.Struct("=iiii")  # parent's pid, tgid, child's pid, tgid
EXEC = struct.Struct("=ii")  # pid, tgid
EXIT = struct.Struct("=iiII")  # pid, tgid, exit code as wait(2) has it, signal
RECEIVE_BUFFER = 4 * 2**20


class Ended(NamedTuple):
    """A process that ended: exit code (negative: the signal), CLOCK_MONOTONIC seconds."""

    pid: int
    code: int
    time: float


class Forked(NamedTuple):
    """A process that another one made. Threads are left out."""

    parent: int
    child: int


class Executed(NamedTuple):
    """A process that has become another program."""

    pid: int


Event = Union[Forked, Executed, Ended]


class ProcessEvents:
    """What happens to processes, of the whole machine. Use as a context manager."""

    def __init__(self, *, everything: bool = False) -> None:
        """Subscribe to ends, or to everything that `events` tells.

        Raises OSError without root or without CONFIG_PROC_EVENTS.
        """
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_CONNECTOR)
        # A burst of events must not be lost while the rest of the loop is busy.
        self._socket.setsockopt(socket.SOL_SOCKET, 33, RECEIVE_BUFFER)  # SO_RCVBUFFORCE
        self._socket.bind((0, CN_IDX_PROC))
        self._socket.settimeout(0)
        self._send(struct.pack("=I", PROC_CN_MCAST_LISTEN))
        # Linux 6.6 and newer then leave out what is not asked for; older kernels
        # ignore a wish of this length.
        wanted = PROC_EVENT_EXIT | (PROC_EVENT_FORK | PROC_EVENT_EXEC if everything else 0)
        self._send(struct.pack("=II", PROC_CN_MCAST_LISTEN, wanted))

    def _send(self, wish: bytes) -> None:
        message = CONNECTOR.pack(CN_IDX_PROC, CN_VAL_PROC, 0, 0, len(wish), 0) + wish
        header = NETLINK_HEADER.pack(
            NETLINK_HEADER.size + len(message), NLMSG_DONE, 0, 0, os.getpid()
        )
        self._socket.send(header + message)

    def fileno(self) -> int:
        return self._socket.fileno()

    def ended(self) -> list[Ended]:
        """The processes (not threads) that ended since the last call.

        Raises OSError (ENOBUFS) when events were lost: then nothing may be concluded.
        """
        return [event for event in self.events() if isinstance(event, Ended)]

    def events(self) -> list[Event]:
        """What happened since the last call, in order. Raises OSError as `ended`."""
        found: list[Event] = []
        while True:
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                return found
            event = _read(data, NETLINK_HEADER.size + CONNECTOR.size)
            if event is not None:
                found.append(event)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> ProcessEvents:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _read(data: bytes, at: int) -> Event | None:
    what, _, stamp = EVENT.unpack_from(data, at)
    at += EVENT.size
    if what == PROC_EVENT_FORK:
        _, parent, child, group = FORK.unpack_from(data, at)
        return Forked(parent, child) if child == group else None
    if what == PROC_EVENT_EXEC:
        return Executed(EXEC.unpack_from(data, at)[1])
    if what == PROC_EVENT_EXIT:
        pid, group, status, _ = EXIT.unpack_from(data, at)
        if pid == group:
            return Ended(pid, os.waitstatus_to_exitcode(status), stamp / 1e9)
    return None
