"""The kernel's audit: its records as they are queued, complete up to now, without auditd.

Records are read from the audit multicast group. A record is queued inside the system call that it
is about, and one kernel thread sends the queue on, first in, first out. So a message of our own
that has come back shows that all records made before it are in. Source: kernel/audit.c of Linux
(audit_log_end, kauditd_send_queue); kernel/auditfilter.c; linux/audit.h.
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
from collections.abc import Sequence
from typing import NamedTuple

from chainrace.gate.shell import NodeError

NETLINK_AUDIT = 9
AUDIT_GET, AUDIT_SET = 1000, 1001
AUDIT_ADD_RULE, AUDIT_DEL_RULE, AUDIT_LIST_RULES = 1011, 1012, 1013
AUDIT_TRUSTED_APP = 1121  # a user's free text, which the kernel repeats to the group
AUDIT_SYSCALL, AUDIT_PATH = 1300, 1302
AUDIT_CONFIG_CHANGE, AUDIT_SOCKADDR, AUDIT_CWD = 1305, 1306, 1307
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
# struct audit_rule_data: the filter's number, action, count, system calls; then from byte 268 on
# three arrays of 64: what is compared, with which value, by which operator; then texts.
RULE = struct.Struct("=3I")
RULE_FIELDS, RULE_VALUES, RULE_OPERATORS = 268, 524, 780
WATCH = struct.Struct("=3I64I64I64I64II")
FILTER_MASK, FILTER_TASK, FILTER_EXIT, FILTER_EXCLUDE = 0xF, 1, 4, 5
NEVER, ALWAYS = 0, 2
FIELD_PID, FIELD_ARCH, FIELD_MSGTYPE, FIELD_EXE = 0, 11, 12, 112
EQUAL, NOT_EQUAL = 0x40000000, 0x30000000
X86_64 = 0xC000003E

SO_ATTACH_FILTER, SO_RCVBUFFORCE = 26, 33
RECEIVE_BUFFER = 64 << 20
RECORD_BYTES = 16384  # more than MAX_AUDIT_MESSAGE_LENGTH
WAIT_SECONDS = 5.0
LOST = "the kernel lost records of changes: nothing can be proved"
SWITCHED = "the kernel's audit was switched off by another program"

# op=set audit_enabled=0 old=1 auid=4294967295 ses=4294967295 res=1
SWITCHED_OFF = re.compile(r"\baudit_enabled=0 old=")
# auid=0 ses=1 op=add_rule key=(null) list=5 res=1
EXCLUDED = re.compile(rf"\bop=add_rule .*\blist={FILTER_EXCLUDE}\b")


class _Status(NamedTuple):
    enabled: int
    rate: int
    backlog: int
    lost: int = 0


class Audit:
    """Records of the kinds asked for, from all network namespaces. A context manager.

    Audit is on while it is open, and put back at the end; a second one that ends earlier
    switches it off for both, which `records` tells.
    """

    def __init__(self, kinds: tuple[int, ...]) -> None:
        """Begin to listen. Raises NodeError where the kernel tells nothing, or not to us."""
        self._kinds = kinds
        self._sequence = 0
        self._broken = ""
        self._lost = 0
        self._watches: list[bytes] = []
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
        if any(map(leaves_out, self._rules())):
            raise NodeError("audit has a rule that leaves out records (auditctl: exclude)")
        self._log.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        _let_through(self._log, (*self._kinds, AUDIT_CONFIG_CHANGE, AUDIT_TRUSTED_APP))
        self._log.bind((0, 1 << AUDIT_NLGRP_READLOG - 1))
        # What was queued before is none of ours: another one's end, which switched audit off.
        self._up_to_now()
        self._check_status()

    def watch(self, program: str, calls: Sequence[int]) -> None:
        """Have the kernel record these system calls of a program, this process's own apart.

        `program` is its file, without links. Raises NodeError where it will not.
        """
        if any(map(is_never, self._rules())):
            raise NodeError("audit has a rule that leaves out system calls (auditctl: never)")
        rule = _watch(program, calls)
        try:
            self._ask(AUDIT_ADD_RULE, rule)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise NodeError(f"the kernel's audit refuses: {error.strerror}") from error
        self._watches.append(rule)

    def fileno(self) -> int:
        """Ready when there are records to be read."""
        return self._log.fileno()

    def records(self) -> list[tuple[int, str]]:
        """All records since the last call, complete up to now: the type and text of each.

        Raises NodeError where that cannot be promised, and ever after.
        """
        if self._broken:
            raise NodeError(self._broken)
        try:
            self._check_status()  # with audit off, the wait for our message would be in vain
            found = self._up_to_now()
            for kind, text in found:
                _check_setting(kind, text)
            self._check_status()
        except OSError as error:
            self._broken = f"the kernel's audit refuses: {error.strerror}"
            raise NodeError(self._broken) from error
        except NodeError as error:
            self._broken = str(error)
            raise
        return [(kind, text) for kind, text in found if kind in self._kinds]

    def _check_status(self) -> None:
        status = self._status()
        if status.lost != self._lost:
            raise NodeError(LOST)
        if not status.enabled:
            raise NodeError(SWITCHED)

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

    def _rules(self) -> list[bytes]:
        return self._ask(AUDIT_LIST_RULES)

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
        """Put back what was changed."""
        before, self._before = self._before, None
        try:
            for rule in self._watches:
                self._ask(AUDIT_DEL_RULE, rule)
            if before is not None:
                now = self._status()
                enabled = now.enabled if before.enabled else 0
                self._set(_Status(enabled, before.rate or now.rate, before.backlog or now.backlog))
        except (OSError, NodeError):
            pass  # it refuses, or somebody locked it meanwhile: nothing can be put back
        finally:
            self._log.close()
            self._control.close()

    def __enter__(self) -> Audit:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def untrusted(text: str) -> bytes:
    """A name of a record: in quotation marks, or in hexadecimal digits where it has odd characters.

    Source: audit_log_untrustedstring in kernel/audit.c.
    """
    if text.startswith('"'):
        return os.fsencode(text.strip('"'))
    try:
        return bytes.fromhex(text)
    except ValueError:
        return os.fsencode(text)  # (null)


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


def is_never(rule: bytes) -> bool:
    """Whether a rule of audit may leave out system calls (struct audit_rule_data)."""
    listed, action, _ = RULE.unpack_from(rule)
    return action == NEVER and listed & FILTER_MASK in (FILTER_TASK, FILTER_EXIT)


def _watch(program: str, calls: Sequence[int]) -> bytes:
    """A rule: these system calls of a program, but not of this process."""
    path = program.encode()
    asked = (
        (FIELD_ARCH, X86_64, EQUAL),
        (FIELD_PID, os.getpid(), NOT_EQUAL),
        (FIELD_EXE, len(path), EQUAL),
    )
    columns = [[*column, *[0] * (64 - len(asked))] for column in zip(*asked)]
    mask = [sum(1 << call % 32 for call in calls if call // 32 == word) for word in range(64)]
    fixed = [number for column in (mask, *columns) for number in column]
    return WATCH.pack(FILTER_EXIT, ALWAYS, len(asked), *fixed, len(path)) + path


def _check_setting(kind: int, text: str) -> None:
    if kind != AUDIT_CONFIG_CHANGE:
        return
    if SWITCHED_OFF.search(text):
        raise NodeError(SWITCHED)
    if EXCLUDED.search(text):
        raise NodeError("audit was told to leave out records (auditctl: exclude)")


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
