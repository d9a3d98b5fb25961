"""Tells when a process has ended, and how: the kernel's process-events connector.

No polling, and no parenthood needed. Source: linux/cn_proc.h, linux/connector.h.
"""

import os
import socket
import struct
from typing import NamedTuple

NETLINK_CONNECTOR = 11
CN_IDX_PROC = 1
CN_VAL_PROC = 1
PROC_CN_MCAST_LISTEN = 1
PROC_EVENT_EXIT = 0x80000000
NLMSG_DONE = 3

NETLINK_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
CONNECTOR = struct.Struct("=IIIIHH")  # idx, val, seq, ack, length, flags
EVENT = struct.Struct("=IIQ")  # what, cpu, timestamp_ns (CLOCK_MONOTONIC)
EXIT = struct.Struct("=iiII")  # pid, tgid, exit code as wait(2) has it, signal
RECEIVE_BUFFER = 4 * 2**20


class Ended(NamedTuple):
    """A process that ended: exit code (negative: the signal), CLOCK_MONOTONIC seconds."""

    pid: int
    code: int
    time: float


class ProcessEvents:
    """Ends of processes, of the whole machine. Use as a context manager."""

    def __init__(self) -> None:
        """Subscribe. Raises OSError without root or without CONFIG_PROC_EVENTS."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_CONNECTOR)
        # A burst of events must not be lost while the rest of the loop is busy.
        self._socket.setsockopt(socket.SOL_SOCKET, 33, RECEIVE_BUFFER)  # SO_RCVBUFFORCE
        self._socket.bind((0, CN_IDX_PROC))
        self._socket.settimeout(0)
        self._send(struct.pack("=I", PROC_CN_MCAST_LISTEN))
        # Linux 6.6 and newer then leave out what is not asked for; older kernels
        # ignore a wish of this length.
        self._send(struct.pack("=II", PROC_CN_MCAST_LISTEN, PROC_EVENT_EXIT))

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
        found: list[Ended] = []
        while True:
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                return found
            at = NETLINK_HEADER.size + CONNECTOR.size
            what, _, stamp = EVENT.unpack_from(data, at)
            if what != PROC_EVENT_EXIT:
                continue
            pid, group, status, _ = EXIT.unpack_from(data, at + EVENT.size)
            if pid == group:
                found.append(Ended(pid, os.waitstatus_to_exitcode(status), stamp / 1e9))

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "ProcessEvents":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
