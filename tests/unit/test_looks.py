from pathlib import Path

import pytest

from chainrace.gate.audit import AUDIT_CWD, AUDIT_PATH, AUDIT_SOCKADDR, AUDIT_SYSCALL
from chainrace.gate.looks import CONNECTS, EXISTS, READS, SIGNALS, Look, looks_of, place_of

STAT, ACCESS, OPENAT, OPEN, KILL, CONNECT, EXECVE = 262, 269, 257, 2, 62, 42, 59
AT_FDCWD = "ffffff9c"
ABSENT = -2


def event(
    call: int,
    *names: str,
    answer: int = 0,
    a0: str = AT_FDCWD,
    a1: str = "5d",
    a2: str = "0",
    cwd: str = "/root",
    number: int = 1,
) -> list[tuple[int, str]]:
    """The records of one system call of process 9, as the kernel words them."""
    stamp = f"audit(1795735461.593:{number}): "
    said = "yes" if answer >= 0 else "no"
    about = f"arch=c000003e syscall={call} success={said} exit={answer} a0={a0} a1={a1} a2={a2}"
    rest = 'a3=0 items=1 ppid=7 pid=9 auid=4294967295 uid=0 gid=0 comm="bash" exe="/usr/bin/bash"'
    paths = [
        (AUDIT_PATH, f'{stamp}item={at} name="{name}" inode=1 dev=fe:00 nametype=NORMAL cap_fp=0')
        for at, name in enumerate(names)
    ]
    call_itself = [(AUDIT_SYSCALL, f"{stamp}{about} {rest}"), (AUDIT_CWD, f'{stamp}cwd="{cwd}"')]
    return [*call_itself, *paths]


def one(records: list[tuple[int, str]]) -> Look | None:
    found = looks_of(records)
    assert len(found) <= 1
    return found[0] if found else None


def test_a_test_for_a_file_is_a_look_with_its_answer() -> None:
    path = "/var/lib/kubelet/pki"
    assert one(event(STAT, path)) == Look(9, EXISTS, path, 0)
    assert one(event(ACCESS, path, answer=ABSENT)) == Look(9, EXISTS, path, ABSENT)


def test_a_path_is_relative_to_the_working_directory_or_to_an_open_folder() -> None:
    assert one(event(STAT, "kubelet", cwd="/var/lib")) == Look(9, EXISTS, "/var/lib/kubelet", 0)
    # Of a process that is gone nobody can tell: the working directory has to do.
    assert one(event(STAT, "kubelet", a0="3", cwd="/var/lib")) is not None


def test_opening_reads_unless_it_is_for_writing_alone() -> None:
    path = "/proc/uptime"
    assert one(event(OPENAT, path, answer=3)) == Look(9, READS, path, 0)
    assert one(event(OPENAT, path, answer=ABSENT)) == Look(9, EXISTS, path, ABSENT)
    assert one(event(OPENAT, path, answer=3, a2="2")) == Look(9, READS, path, 0)
    assert one(event(OPENAT, path, answer=3, a2="441")) is None
    assert one(event(OPEN, path, answer=3, a0="5d", a1="241")) is None


def test_the_folder_of_what_is_made_is_not_what_is_looked_at() -> None:
    records = event(OPENAT, "/run/x", answer=3, a2="42")
    folder = (AUDIT_PATH, records[-1][1].replace("/run/x", "/run/").replace("NORMAL", "PARENT"))
    assert one([*records[:2], folder, *records[2:]]) == Look(9, READS, "/run/x", 0)
    assert one([*records, folder]) == Look(9, READS, "/run/x", 0)


def test_a_name_with_odd_characters_is_in_hexadecimal_digits() -> None:
    name = "/run/a b"
    about = f"item=0 name={name.encode().hex()} inode=1 nametype=NORMAL cap_fp=0"
    records, odd = event(STAT), (AUDIT_PATH, f"audit(1795735461.593:1): {about}")
    assert one([*records, odd]) == Look(9, EXISTS, name, 0)


def test_signal_0_asks_and_others_do_not() -> None:
    assert one(event(KILL, a0="3fe7", a1="0")) == Look(9, SIGNALS, str(0x3FE7), 0)
    assert one(event(KILL, a0="3fe7", a1="f")) is None


def test_a_connection_to_a_port_is_a_look_and_one_to_a_socket_file_is_not() -> None:
    stamp = "audit(1795735461.593:1): "
    internet = (AUDIT_SOCKADDR, f"{stamp}saddr=020028087F0000010000000000000000")
    local = (AUDIT_SOCKADDR, f"{stamp}saddr=01002F7661722F72756E")
    refused = event(CONNECT, a0="3", answer=-111)
    assert one([*refused, internet]) == Look(9, CONNECTS, "port 10248", -111)
    assert one([*refused, local]) is None


def test_calls_of_other_kinds_and_records_without_their_call_are_no_looks() -> None:
    assert looks_of(event(EXECVE, "/usr/bin/true")) == []
    assert looks_of(event(STAT, "/run/x")[1:]) == []
    assert looks_of([(AUDIT_SYSCALL, "nothing that has a stamp")]) == []


def test_calls_whose_records_are_mixed_are_told_apart() -> None:
    first, second = event(STAT, "/run/a"), event(STAT, "/run/b", answer=ABSENT, number=2)
    mixed = [record for pair in zip(first, second, strict=True) for record in pair]
    assert [(look.at, look.answer) for look in looks_of(mixed)] == [
        ("/run/a", 0),
        ("/run/b", ABSENT),
    ]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/var/lib/kubelet", "/var/lib/kubelet"),
        ("/var/lib/x/../kubelet/pki", "/var/lib/kubelet/pki"),
        ("/proc/", "/proc"),
        ("/proc/812/stat", "/proc/N/stat"),
        ("/proc/9/stat", ""),  # the script's own
        ("/proc/self/fd", ""),
        ("/proc/sys/net/ipv4/ip_forward", ""),
        ("/proc/sys/vm/overcommit_memory", "/proc/sys/vm/overcommit_memory"),
        ("/run/systemd/system", ""),
        ("/sys/class/net", ""),
        ("/var/lib/kubeletx", ""),
        ("/dev/fd/63", ""),
        ("/etc/hostname", ""),
    ],
)
def test_only_where_kubelet_or_the_rules_show_a_look_counts(path: str, place: str) -> None:
    assert place_of(path, {9}) == place


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/var/lib")
    assert place_of(f"{tmp_path}/link/kubelet/pki", ()) == "/var/lib/kubelet/pki"
