"""The kernel's own record of each change of firewall rules, whoever makes it.

Audit records of type NETFILTER_CFG, read from the audit multicast group: no auditd is needed.
A record is queued inside the system call that makes the change, and one kernel thread sends
the queue on, first in, first out. So a message of our own that has come back shows that all
changes made before it are in. Source: kernel/audit.c of Linux (audit_log_end,
kauditd_send_queue); __audit_log_nfcfg in kernel/auditsc.c; nf_tables_commit_audit_log in
net/netfilter/nf_tables_api.c; linux/audit.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import select
import socket
import struct
import time
from dataclasses import dataclass
from typing import NamedTuple

from chainrace.gate.shell import NodeError

NETLINK_AUDIT = 9
AUDIT_GET, AUDIT_SET, AUDIT_LIST_RULES = 1000, 1001, 1013
AUDIT_TRUSTED_APP = 1121  # a user's free text, which the kernel repeats to the group
AUDIT_CONFIG_CHANGE = 1305
AUDIT_NETFILTER_CFG = 1325
AUDIT_NLGRP_READLOG = 1
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK = 1, 4
LOCKED = 2  # `enabled`: no setting can be changed until a reboot
FIRST_LINUX = (5, 8)  # whose nftables writes such records

HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
ERROR = struct.Struct("=i")
# struct audit_status: mask, enabled, failure, pid, rate_limit, backlog_limit, lost, ...
STATUS = struct.Struct("=7I")
SETTINGS = struct.Struct("=11I")
MASK_ENABLED, MASK_RATE, MASK_BACKLOG = 0x1, 0x8, 0x10
# struct audit_rule_data: the filter's number, action, count; then from byte 268 on three
# arrays of 64: what is compared, with which value, by which operator.
RULE = struct.Struct("=3I")
RULE_FIELDS, RULE_VALUES, RULE_OPERATORS = 268, 524, 780
FILTER_MASK, FILTER_EXCLUDE = 0xF, 5
FIELD_MSGTYPE, EQUAL = 12, 0x40000000

SO_ATTACH_FILTER, SO_RCVBUFFORCE = 26, 33
RECEIVE_BUFFER = 64 << 20
RECORD_BYTES = 16384  # more than MAX_AUDIT_MESSAGE_LENGTH
WAIT_SECONDS = 5.0
LOST = "the kernel lost records of changes: nothing can be proved"
SWITCHED = "the kernel's audit was switched off by another program"

# NFPROTO_* of linux/netfilter.h
FAMILY = {1: "inet", 2: "ipv4", 3: "arp", 5: "netdev", 7: "bridge", 10: "ipv6"}
# A table's name stands there as it is, spaces and all; a program's does not.
# table=filter:2 family=2 entries=2 op=nft_register_chain pid=71 subj=kernel comm="iptables-nft"
RECORD = re.compile(
    r"table=(?P<table>.*) family=(?P<family>\d+) entries=(?P<entries>\d+) op=(?P<op>\S+)"
    r" pid=(?P<pid>\d+)(?: subj=.*)? comm=(?P<comm>\S+)$",
    re.DOTALL,
)
# op=set audit_enabled=0 old=1 auid=4294967295 ses=4294967295 res=1
SWITCHED_OFF = re.compile(r"\baudit_enabled=0 old=")
# auid=0 ses=1 op=add_rule key=(null) list=5 res=1
EXCLUDED = re.compile(rf"\bop=add_rule .*\blist={FILTER_EXCLUDE}\b")


@dataclass(frozen=True)
class Change:
    """One change of one table: `program` is the process's own name (comm, 15 characters).

    `generation` is nftables', counted by each network namespace; None for the legacy backend.
    """

    table: str
    family: str
    op: str
    pid: int
    program: str
    entries: int
    generation: int | None


class _Status(NamedTuple):
    enabled: int
    rate: int
    backlog: int
    lost: int = 0


class Witness:
    """Changes of rules in all network namespaces, as the kernel tells. A context manager.

    Audit is on while it is open, and put back at the end; a second witness that ends earlier
    switches it off for both, which `changes` tells.
    """

    def __init__(self) -> None:
        """Begin to listen. Raises NodeError where the kernel tells nothing, or not to us."""
        self._sequence = 0
        self._broken = ""
        self._lost = 0
        _check_kernel()
        try:
            self._control = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_AUDIT)
            self._log = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_AUDIT)
        except OSError as error:
            raise NodeError(f"this kernel has no audit: {error.strerror}") from error
        self._before: _Status | None = None
        try:
            self._control.bind((0, 0))
            self._begin()
        except OSError as error:
            self.close()
            if error.errno == errno.ECONNREFUSED:
                raise NodeError(
                    "this kernel's audit is not there: it was started with audit=0, "
                    "or this is not the first user namespace"
                ) from error
            raise NodeError(f"the kernel's audit refuses: {error.strerror}") from error
        except NodeError:
            self.close()
            raise

    def _begin(self) -> None:
        self._before = self._status()
        # 0 is no limit: with one, a node without auditd counts as lost what it cannot keep.
        self._set(_Status(max(1, self._before.enabled), 0, 0))
        self._lost = self._status().lost
        self._check_rules()
        self._log.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        _let_through(self._log, (AUDIT_NETFILTER_CFG, AUDIT_CONFIG_CHANGE, AUDIT_TRUSTED_APP))
        self._log.bind((0, 1 << AUDIT_NLGRP_READLOG - 1))
        # What was queued before is none of ours: another one's end, which switched audit off.
        self._up_to_now()
        self._check_status()

    def fileno(self) -> int:
        """Ready when there are records to be read."""
        return self._log.fileno()

    def changes(self) -> list[Change]:
        """All changes since the last call, complete up to now.

        Raises NodeError where that cannot be promised, and ever after.
        """
        if self._broken:
            raise NodeError(self._broken)
        try:
            self._check_status()  # with audit off, the wait for our message would be in vain
            found = [self._understood(*record) for record in self._up_to_now()]
            self._check_status()
        except OSError as error:
            self._broken = f"the kernel's audit refuses: {error.strerror}"
            raise NodeError(self._broken) from error
        except NodeError as error:
            self._broken = str(error)
            raise
        return [change for change in found if change is not None]

    def _check_status(self) -> None:
        status = self._status()
        if status.lost != self._lost:
            raise NodeError(LOST)
        if not status.enabled:
            raise NodeError(SWITCHED)

    @staticmethod
    def _understood(kind: int, text: str) -> Change | None:
        if kind == AUDIT_NETFILTER_CFG:
            return parse(text)
        if SWITCHED_OFF.search(text):
            raise NodeError(SWITCHED)
        if EXCLUDED.search(text):
            raise NodeError("audit was told to leave out records (auditctl: exclude)")
        return None

    def _up_to_now(self) -> list[tuple[int, str]]:
        """The records queued so far: the type and text of each."""
        self._sequence += 1
        mark = f"chainrace {os.getpid()} {id(self):x} {self._sequence} {os.urandom(8).hex()}"
        self._ask(AUDIT_TRUSTED_APP, mark.encode() + b"\0")
        deadline = time.monotonic() + WAIT_SECONDS
        poll = select.poll()
        poll.register(self._log, select.POLLIN)
        found = []
        while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            try:
                data = self._log.recv(RECORD_BYTES)
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    raise NodeError(LOST) from error
                raise
            kind = HEADER.unpack_from(data)[1]
            # The length in the header is not to be trusted: see kauditd_send_multicast_skb.
            text = data[HEADER.size :].rstrip(b"\0\n").decode(errors="replace")
            if kind != AUDIT_TRUSTED_APP:
                found.append((kind, text))
            elif mark in text:
                return found
        raise NodeError(
            f"the kernel's audit did not repeat a message within {WAIT_SECONDS:g} s: this is not "
            "the first network namespace, or a rule of audit leaves such messages out"
        )

    def _status(self) -> _Status:
        (body,) = self._ask(AUDIT_GET)
        _, enabled, _, _, rate, backlog, lost = STATUS.unpack_from(body)
        return _Status(enabled, rate, backlog, lost)

    def _set(self, wish: _Status) -> None:
        now = self._status()
        if now.enabled == LOCKED:
            return  # it records, and says what it loses; no more can be had
        changed = (
            (MASK_ENABLED if wish.enabled != now.enabled else 0)
            | (MASK_RATE if wish.rate != now.rate else 0)
            | (MASK_BACKLOG if wish.backlog != now.backlog else 0)
        )
        if changed:
            settings = (changed, wish.enabled, 0, 0, wish.rate, wish.backlog, 0, 0, 0, 0, 0)
            self._ask(AUDIT_SET, SETTINGS.pack(*settings))

    def _check_rules(self) -> None:
        for rule in self._ask(AUDIT_LIST_RULES):
            if leaves_out(rule):
                raise NodeError("audit has a rule that leaves out records (auditctl: exclude)")

    def _ask(self, kind: int, body: bytes = b"") -> list[bytes]:
        """Send a request; returns what the kernel answers to it. Raises OSError, NodeError."""
        self._sequence += 1
        flags = NLM_F_REQUEST | NLM_F_ACK
        size = HEADER.size + len(body)
        self._control.send(HEADER.pack(size, kind, flags, self._sequence, 0) + body)
        # The answer comes from a thread of the kernel's, before or after the acknowledgement.
        missing = {NLMSG_ERROR} | {
            AUDIT_GET: {AUDIT_GET},
            AUDIT_LIST_RULES: {NLMSG_DONE},
        }.get(kind, set())
        answers = []
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        deadline = time.monotonic() + WAIT_SECONDS
        while missing:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise NodeError(f"the kernel's audit did not answer within {WAIT_SECONDS:g} s")
            data = self._control.recv(RECORD_BYTES)
            _, answer, _, sequence, _ = HEADER.unpack_from(data)
            if sequence != self._sequence:
                continue
            if answer == NLMSG_ERROR:
                (code,) = ERROR.unpack_from(data, HEADER.size)
                if code:
                    raise OSError(-code, os.strerror(-code))
            elif answer == kind:
                answers.append(data[HEADER.size :])
            missing.discard(answer)
        return answers

    def close(self) -> None:
        """Put back what this witness has changed."""
        before, self._before = self._before, None
        try:
            if before is not None:
                now = self._status()
                enabled = now.enabled if before.enabled else 0
                self._set(_Status(enabled, before.rate or now.rate, before.backlog or now.backlog))
        except (OSError, NodeError):
            pass  # it refuses, or somebody locked it meanwhile: nothing can be put back
        finally:
            self._log.close()
            self._control.close()

    def __enter__(self) -> Witness:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def parse(text: str) -> Change:
    """Read a record's text. Raises NodeError for what is none: a change may not be overlooked."""
    found = RECORD.search(text)
    if found is None:
        raise NodeError(f"the kernel's record of a change is not understood: {text!r}")
    table, generation = found["table"], None
    if found["op"].startswith("nft_"):  # table=filter:2
        table, _, number = table.rpartition(":")
        generation = int(number)
    family = int(found["family"])
    return Change(
        table=table,
        family=FAMILY.get(family, str(family)),
        op=found["op"],
        pid=int(found["pid"]),
        program=_name(found["comm"]),
        entries=int(found["entries"]),
        generation=generation,
    )


def _name(comm: str) -> str:
    """A program's name: in quotation marks, or in hexadecimal digits where it has odd characters.

    Source: audit_log_untrustedstring in kernel/audit.c.
    """
    if comm.startswith('"'):
        return comm.strip('"')
    try:
        return bytes.fromhex(comm).decode(errors="replace")
    except ValueError:
        return comm  # (null)


def leaves_out(rule: bytes) -> bool:
    """Whether a rule of audit may leave out records of changes (struct audit_rule_data)."""
    listed, _, count = RULE.unpack_from(rule)
    if listed & FILTER_MASK != FILTER_EXCLUDE:
        return False
    for at in range(0, 4 * count, 4):
        field, value, operator = (
            int.from_bytes(rule[start + at : start + at + 4], "little")
            for start in (RULE_FIELDS, RULE_VALUES, RULE_OPERATORS)
        )
        # All fields must match: with another type than ours the rule leaves out others only.
        if field == FIELD_MSGTYPE and operator == EQUAL and value != AUDIT_NETFILTER_CFG:
            return False
    return True


def _check_kernel() -> None:
    release = os.uname().release  # 6.6.96.2-2.azl3
    numbers = re.findall(r"\d+", release)
    if tuple(int(number) for number in numbers[:2]) < FIRST_LINUX:
        raise NodeError(f"Linux {release} keeps no record of nftables' changes: 5.8 is the first")


def _let_through(log: socket.socket, kinds: tuple[int, ...]) -> None:
    """Let the kernel queue messages of these types only: a busy node's audit would fill the room.

    A classic BPF program over the message, header included. Source: linux/bpf_common.h.
    """
    load, equal, back = 0x28, 0x15, 0x06  # BPF_LD|BPF_H|BPF_ABS, BPF_JMP|BPF_JEQ, BPF_RET
    lines = [struct.pack("=HBBI", load, 0, 0, 4)]
    for at, kind in enumerate(kinds):
        value = int.from_bytes(struct.pack("=H", kind), "big")  # it loads in network order
        lines.append(struct.pack("=HBBI", equal, len(kinds) - at, 0, value))
    lines += [struct.pack("=HBBI", back, 0, 0, 0), struct.pack("=HBBI", back, 0, 0, 0xFFFFFFFF)]
    program = ctypes.create_string_buffer(b"".join(lines))
    wish = struct.pack("HP", len(lines), ctypes.addressof(program))
    log.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, wish)
