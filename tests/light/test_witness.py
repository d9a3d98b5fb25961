"""The kernel's record of changes, on this machine's kernel: needs root, and audit."""

import errno
import os
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainrace.gate import audit
from chainrace.gate.shell import NodeError
from chainrace.gate.witness import Change, Witness

OWN_NETWORK = ("unshare", "--net")
DROP = ("-A", "INPUT", "-j", "DROP")
MULTI = "/usr/sbin/xtables-nft-multi"
# As tests/cases/harm-by-library.sh does it: no program of the family is executed.
BY_LIBRARY = """
import ctypes, sys
lib = ctypes.CDLL("libnftables.so.1")
lib.nft_ctx_new.restype = ctypes.c_void_p
context = ctypes.c_void_p(lib.nft_ctx_new(0))
for number in range(int(sys.argv[1])):
    lib.nft_run_cmd_from_buffer(context, b"add table ip mangle; add chain ip mangle c%d" % number)
    print(number, flush=True)
"""
WRITERS, CHANGES = 4, 250


@pytest.fixture(autouse=True)
def _audit() -> None:
    if os.geteuid() != 0:
        pytest.skip("the kernel's record is for root alone")
    try:
        Witness().close()
    except NodeError as error:
        pytest.skip(f"this machine's kernel keeps no record: {error}")


@pytest.fixture
def heard() -> Iterator[Witness]:
    with Witness() as listening:
        yield listening


def needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed on this machine")


def made(heard: Witness, *command: str, space: tuple[str, ...] = OWN_NETWORK) -> list[Change]:
    """What the record has of one command's process, which unshare becomes."""
    with subprocess.Popen([*space, *command]) as child:
        assert child.wait() == 0
        return [one for one in heard.changes() if one.pid == child.pid]


def tables(changes: list[Change]) -> set[tuple[str, str]]:
    return {(one.family, one.table) for one in changes}


@pytest.mark.parametrize(
    ("command", "table"),
    [
        (("iptables-nft", *DROP), ("ipv4", "filter")),
        (("ip6tables-nft", *DROP), ("ipv6", "filter")),
        (("iptables-nft", "-t", "nat", "-N", "KUBE-X"), ("ipv4", "nat")),
        (("xtables-nft-multi", "ip6tables", *DROP), ("ipv6", "filter")),
        (("ebtables-nft", *DROP), ("bridge", "filter")),
        (("arptables-nft", *DROP), ("arp", "filter")),
        (("nft", "add", "table", "inet", "mine"), ("inet", "mine")),
        (("nft", "add", "table", "netdev", "mine"), ("netdev", "mine")),
        (("nft", "add", "table", "ip", "filter"), ("ipv4", "filter")),
    ],
)
def test_nftables_changes_are_told(
    heard: Witness, command: tuple[str, ...], table: tuple[str, str]
) -> None:
    needs(command[0])
    (change,) = made(heard, *command)
    assert (change.family, change.table) == table
    assert change.op.startswith("nft_register_")
    assert change.generation == 2
    assert change.program == command[0][:15]


@pytest.mark.parametrize(
    ("program", "family"), [("iptables-legacy", "ipv4"), ("ip6tables-legacy", "ipv6")]
)
def test_changes_by_the_legacy_backend_are_told(heard: Witness, program: str, family: str) -> None:
    needs(program)
    changes = made(heard, program, *DROP)
    assert tables(changes) == {(family, "filter")}
    assert [one.op for one in changes] == ["xt_register", "xt_replace"]
    assert changes[0].generation is None


def test_a_change_by_a_library_is_told(heard: Witness) -> None:
    needs("nft")  # which comes with the library
    changes = made(heard, sys.executable, "-c", BY_LIBRARY, "1")
    assert tables(changes) == {("ipv4", "mangle")}
    assert changes[0].program.startswith("python")


def test_a_copy_under_an_odd_name_is_told(heard: Witness, tmp_path: Path) -> None:
    needs(MULTI)
    copy = shutil.copy(MULTI, tmp_path / 'my "wall"')
    assert os.access(copy, os.X_OK)
    (change,) = made(heard, str(copy), "iptables", *DROP)
    assert tables([change]) == {("ipv4", "filter")}
    assert change.program == 'my "wall"'


def test_a_change_from_within_a_chroot_on_an_overlay_is_told(
    heard: Witness, tmp_path: Path
) -> None:
    needs("iptables-nft", "chroot")
    room = (
        f"mount -t tmpfs none {tmp_path} && cd {tmp_path} && mkdir upper work root && "
        "mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work none root && "
        'exec chroot root "$@"'
    )
    tried = subprocess.run(
        ["unshare", "--mount", "sh", "-c", room, "sh", "true"], capture_output=True, check=False
    )
    if tried.returncode != 0:
        pytest.skip(f"no overlay of / can be mounted here: {tried.stderr.decode()}")
    changes = made(
        heard,
        *("sh", "-c", room, "sh", "iptables-nft", *DROP),
        space=(*OWN_NETWORK, "--mount"),
    )
    assert tables(changes) == {("ipv4", "filter")}


def test_a_command_for_two_tables_gives_a_record_of_each(heard: Witness) -> None:
    needs("nft")
    changes = made(heard, "nft", "add table ip nat; add table ip6 nat; add table ip raw")
    assert tables(changes) == {("ipv4", "nat"), ("ipv6", "nat"), ("ipv4", "raw")}
    assert {one.generation for one in changes} == {2}


@pytest.mark.parametrize(
    "command", ["iptables-nft-save", "nft list ruleset", "iptables-legacy-save"]
)
def test_reading_is_no_change(heard: Witness, command: str) -> None:
    words = command.split()
    needs(words[0])
    assert not made(heard, *words)


def test_each_change_is_in_as_soon_as_it_is_made(heard: Witness) -> None:
    needs("nft")
    seen: dict[int, int] = {}
    told: dict[int, int] = {}
    writers = [
        subprocess.Popen(
            [*OWN_NETWORK, sys.executable, "-c", BY_LIBRARY, str(CHANGES)],
            stdout=subprocess.PIPE,
        )
        for _ in range(WRITERS)
    ]
    poll = select.poll()
    pids = {}
    for writer in writers:
        assert writer.stdout is not None
        pids[writer.stdout.fileno()] = writer.pid
        seen[writer.pid] = told[writer.pid] = 0
        poll.register(writer.stdout, select.POLLIN)
    looks = 0
    while pids:
        for descriptor, _ in poll.poll():
            data = os.read(descriptor, 65536)
            told[pids[descriptor]] += data.count(b"\n")
            if not data:
                poll.unregister(descriptor)
                del pids[descriptor]
        for change in heard.changes():
            if change.pid in seen:
                seen[change.pid] += 1
        looks += 1
        assert all(seen[pid] >= told[pid] for pid in seen)
    for writer in writers:
        with writer:
            assert writer.wait() == 0
    assert seen == {writer.pid: CHANGES for writer in writers}
    assert looks > WRITERS  # it did look while they wrote


def test_a_look_takes_no_time(heard: Witness) -> None:
    times = []
    for _ in range(100):
        started = time.perf_counter()
        heard.changes()
        times.append(time.perf_counter() - started)
    assert sorted(times)[len(times) // 2] < 0.005


def test_lost_records_are_told_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    needs("nft")
    monkeypatch.setattr(audit, "RECEIVE_BUFFER", 1)
    with Witness() as listening:
        subprocess.run(
            [*OWN_NETWORK, sys.executable, "-c", BY_LIBRARY, "50"],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        for _ in range(2):
            with pytest.raises(NodeError, match="lost records"):
                listening.changes()


def test_audit_switched_off_by_another_is_told() -> None:
    first = Witness()
    with Witness() as second:
        first.close()
        if not audit_is_on():
            with pytest.raises(NodeError, match="switched off"):
                second.changes()
    before = audit_is_on()
    with Witness():
        assert audit_is_on()
    assert audit_is_on() == before


def test_off_and_on_again_is_told() -> None:
    if audit_is_on():
        pytest.skip("somebody has switched audit on, who would miss it")
    first = Witness()
    with Witness() as second:
        first.close()
        with Witness(), pytest.raises(NodeError, match="switched off"):
            second.changes()


def test_nothing_is_told_in_another_network_namespace() -> None:
    code = "from chainrace.gate.witness import Witness; Witness()"
    done = subprocess.run(
        [*OWN_NETWORK, sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "not the first network namespace" in done.stderr


def audit_is_on() -> bool:
    """As a witness finds it."""
    header = audit.HEADER
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, audit.NETLINK_AUDIT) as line:
        line.bind((0, 0))
        line.send(header.pack(header.size, audit.AUDIT_GET, audit.NLM_F_REQUEST, 1, 0))
        line.settimeout(5)
        status = audit.STATUS.unpack_from(line.recv(audit.RECORD_BYTES), header.size)
    return bool(status[1])


def test_what_a_shell_looks_at_by_itself_is_told_while_it_is_watched(tmp_path: Path) -> None:
    shell = str(Path("/bin/sh").resolve())
    script = f"[ -e {tmp_path}/none ]; kill -0 1; cd {tmp_path}; [ -d . ]; echo x >made; exit 0"
    with Witness([shell]) as listening:
        assert listening.unwatched == ""
        with subprocess.Popen([shell, "-c", script]) as child:
            assert child.wait() == 0
        listening.changes()
        mine = {(one.how, one.at, one.answer) for one in listening.looks() if one.pid == child.pid}
        assert listening.looks() == []
    assert {
        ("exists", f"{tmp_path}/none", -errno.ENOENT),
        ("signals", "1", 0),
        ("exists", f"{tmp_path}/.", 0),
    } <= mine
    assert not any(at.endswith("/made") for _, at, _ in mine)
    # Nothing of it stays in the kernel.
    with Witness() as after, subprocess.Popen([shell, "-c", script]) as child:
        assert child.wait() == 0
        after.changes()
        assert after.looks() == []
