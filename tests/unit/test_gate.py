"""The parts of the node's side that need no node."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from chainrace.gate import backends, clean, nftables, process
from chainrace.gate.clean import CleanState
from chainrace.gate.kubelet import journal, monitor
from chainrace.gate.shell import NodeError
from chainrace.model.rules import plain
from chainrace.model.services import SERVICE
from chainrace.subjects.kubelet import words


def test_a_plain_rule_set_has_no_counters_and_no_comments() -> None:
    text = "# by hand\n*filter\n:INPUT DROP [3:9]\n-A INPUT -j DROP\nCOMMIT\n"
    assert plain(text) == ["*filter", ":INPUT DROP", "-A INPUT -j DROP", "COMMIT"]


def test_in_a_plain_rule_set_the_order_of_rules_counts_and_that_of_declarations_does_not() -> None:
    lines = ("*filter", ":B - [0:0]", ":A - [0:0]", "-A B -j A", "-A A -j DROP", "COMMIT")
    declared = ("*filter", ":A - [1:2]", ":B - [0:0]", "-A B -j A", "-A A -j DROP", "COMMIT")
    ordered = ("*filter", ":B - [0:0]", ":A - [0:0]", "-A A -j DROP", "-A B -j A", "COMMIT")
    assert plain("\n".join(lines)) == plain("\n".join(declared))
    assert plain("\n".join(lines)) != plain("\n".join(ordered))


def test_in_a_plain_rule_set_tables_stand_in_one_order() -> None:
    one, other = "*filter\n:A - [0:0]\nCOMMIT\n", "*nat\n-A A -j B\nCOMMIT\n"
    assert plain(one + other) == plain(other + one)
    assert plain("[3:4] -A INPUT -j A\n") == ["-A INPUT -j A"]


@pytest.mark.parametrize(
    "program",
    ["iptables", "ip6tables", "iptables-save", "ip6tables-restore", "iptables-legacy", "nft"],
)
def test_programs_of_the_iptables_family_are_watched(program: str) -> None:
    assert process.PROGRAMS.match(program)


@pytest.mark.parametrize("program", ["sh", "ip", "kubelet", "nftables-thing", "iptablesque"])
def test_other_programs_are_not(program: str) -> None:
    assert not process.PROGRAMS.match(program)


def test_kubelets_words_are_understood() -> None:
    line = 'I1121 kubelet_network_linux.go:54] "Initialized iptables rules." protocol="IPv4"'
    found = words.INITIALISED.search(line)
    assert found
    assert found[1] == "IPv4"
    older = 'kubelet_network_linux.go:56] "Initialized iptables rules" protocol="IPv6"'
    assert words.INITIALISED.search(older)
    of_1_20 = "I1121 kubelet_network_linux.go:56] Initialized IPv6 iptables rules."
    found = words.INITIALISED.search(of_1_20)
    assert found
    assert found[1] == "IPv6"
    failed = words.FAILED.search("W1121 Failed to initialize IPv4 iptables rules; some")
    assert failed
    assert failed[1] == "IPv4"


def test_the_pid_in_a_line_of_klog_is_read() -> None:
    line = "I1121 06:31:22.123456    1085 kubelet.go:1802] Starting kubelet main sync loop."
    found = journal.HEADER.match(line)
    assert found
    assert found[1] == "1085"


def test_the_kernels_answer_on_tables_is_read() -> None:
    def message(kind: int, body: bytes) -> bytes:
        return nftables.HEADER.pack(nftables.HEADER.size + len(body), kind, 0, 1, 0) + body

    name = nftables.ATTRIBUTE.pack(4 + 7, nftables.NFTA_TABLE_NAME) + b"mangle\0\0"
    flags = nftables.ATTRIBUTE.pack(8, 2) + b"\0\0\0\0"
    answer = message(nftables.NFT_MSG_GETTABLE, nftables.NFGENMSG.pack(2, 0, 0) + flags + name)
    ((kind, body), (last, _)) = nftables.messages(answer + message(nftables.NLMSG_DONE, b""))
    assert kind == nftables.NFT_MSG_GETTABLE
    assert nftables.attribute(body, nftables.NFTA_TABLE_NAME) == b"mangle\0"
    assert last == nftables.NLMSG_DONE
    with pytest.raises(OSError, match="no attribute 9"):
        nftables.attribute(body, 9)


def test_a_process_is_described_by_its_own_words() -> None:
    command = process.describe(os.getpid(), 1.5)
    assert command is not None
    assert command.actor == "other"
    assert "python" in command.program or "pytest" in command.program


def test_a_process_that_is_gone_is_nobody() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert process.describe(child, 0.0) is None


def test_a_reader_waits_while_another_may_still_write() -> None:
    writer = subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE)
    reader = subprocess.Popen(["sleep", "60"], stdin=writer.stdout)
    alone = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL)
    pids = [child.pid for child in (writer, reader, alone)]
    pipe = str(Path(f"/proc/{reader.pid}/fd/0").readlink())
    try:
        assert process.waits_for_a_writer(reader.pid, pids, ())
        assert not process.waits_for_a_writer(writer.pid, pids, ())
        assert not process.waits_for_a_writer(alone.pid, pids, ())
        # Not where only a stranger writes, nor where the writer waits for the reader.
        assert not process.waits_for_a_writer(reader.pid, [reader.pid, alone.pid], ())
        assert not process.waits_for_a_writer(reader.pid, pids, {pipe})
        assert process.waits_for_a_writer(reader.pid, pids, {"pipe:[1]"})
        writer.kill()
        writer.wait()
        assert not process.waits_for_a_writer(reader.pid, pids, ())
    finally:
        for child in (writer, reader, alone):
            child.kill()
            child.wait()


def kubelets(line: str, code: int | None = 0) -> process.Command:
    program, *arguments = line.split()
    return process.Command(
        1, "kubelet", program, arguments, 0.0, None if code is None else 1.0, code
    )


MADE = [
    kubelets("iptables -N KUBE-KUBELET-CANARY -t mangle"),
    kubelets("iptables -N KUBE-KUBELET-CANARY -t nat", 1),
]
LAST = kubelets("iptables -N KUBE-KUBELET-CANARY -t filter")


def test_the_monitors_first_round_ends_with_its_last_canary_or_a_refused_one() -> None:
    assert not monitor.canaries_done(MADE, "ipv4")
    assert monitor.canaries_done([*MADE, LAST], "ipv4")
    assert not monitor.canaries_done([*MADE, LAST], "ipv6")
    assert monitor.canaries_done([kubelets(" ".join(("iptables", *MADE[0].arguments)), 4)], "ipv4")


def test_a_look_is_over_when_it_found_the_canary_or_made_it_again() -> None:
    found = kubelets("iptables -S KUBE-KUBELET-CANARY -t mangle")
    missed = kubelets("iptables -S KUBE-KUBELET-CANARY -t mangle", 1)
    under_way = kubelets("iptables -S KUBE-KUBELET-CANARY -t mangle", None)
    assert monitor.look_over([found], "ipv4")
    assert not monitor.look_over([missed], "ipv4")
    assert not monitor.look_over([under_way], "ipv4")
    assert monitor.look_over([missed, *MADE, LAST], "ipv4")
    assert not monitor.look_over([found], "ipv6")


class MadeUpNode:
    """Answers what CleanState asks of a node; `started` is when its boot started the service."""

    def __init__(self, folder: Path, started: str) -> None:
        self.asked: list[str] = []
        self.state = "active" if started != "0" else "inactive"
        (folder / "service").write_text(started)

    def run(self, command: list[str], text: str = "") -> str:
        del text
        self.asked.append(" ".join(command))
        if command[:2] == ["systemctl", "restart"]:
            self.state = "active"
        if command[:2] == ["systemctl", "stop"] and SERVICE in command:
            self.state = "inactive"
        return {"ActiveState": self.state}.get(command[3], "") if "show" in command else ""


@pytest.fixture
def node_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], MadeUpNode]:
    """A node whose service its boot started then, or never: 0."""

    def made(started: str) -> MadeUpNode:
        node = MadeUpNode(tmp_path, started)
        saved = {"ipv4": str(tmp_path / "ip4save"), "ipv6": str(tmp_path / "ip6save")}
        monkeypatch.setattr(clean, "SAVED_FILE", saved)
        monkeypatch.setattr(clean, "STARTED_BY_BOOT", str(tmp_path / "service"))
        monkeypatch.setattr(clean, "run", node.run)
        monkeypatch.setattr(clean, "read", lambda: {"ipv4": "", "ipv6": ""})
        monkeypatch.setattr(clean, "_check_room", lambda: None)
        monkeypatch.setattr(clean, "_leave_the_guards_link", lambda: None)
        monkeypatch.setattr(clean, "UNHURRIED", str(tmp_path / "systemd" / "lab.conf"))
        monkeypatch.setattr(clean, "without_library", list)
        monkeypatch.setattr(backends, "empty", lambda: None)
        monkeypatch.setattr(backends, "in_use", lambda: "nft")
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: None)
        return node

    return made


def test_systemd_ends_no_unit_while_the_gate_holds_its_processes(
    node_with: Callable[[str], MadeUpNode], tmp_path: Path
) -> None:
    node = node_with("0")
    for _ in range(2):
        CleanState()
    assert "DefaultTimeoutStopSec=infinity" in (tmp_path / "systemd" / "lab.conf").read_text()
    assert node.asked.count("systemctl daemon-reload") == 1


def test_a_service_that_no_boot_starts_is_never_started_for_a_trial(
    node_with: Callable[[str], MadeUpNode],
) -> None:
    node = node_with("0")
    state = CleanState()
    node.state = "active"  # a script's restart started it
    state.restore()
    assert node.state == "inactive"
    assert not [line for line in node.asked if "restart" in line]


def test_a_service_that_the_boot_started_is_there_again_before_each_trial(
    node_with: Callable[[str], MadeUpNode],
) -> None:
    node = node_with("7000123")
    state = CleanState()
    node.state = "inactive"
    state.restore()
    assert node.state == "active"


def test_saved_files_that_an_image_has_not_are_gone_before_each_trial(
    node_with: Callable[[str], MadeUpNode], tmp_path: Path
) -> None:
    node_with("0")
    (tmp_path / "ip4save").write_text("of an earlier trial")
    (tmp_path / "ip4save.absent").touch()
    state = CleanState()
    assert not (tmp_path / "ip4save").exists()
    (tmp_path / "ip6save").write_text("of this one")
    state.restore()
    assert not (tmp_path / "ip6save").exists()


def test_a_full_disk_is_told_before_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bfree=1, f_frsize=4096))
    with pytest.raises(NodeError, match="disk is full: 4096 bytes are free"):
        clean._check_room()  # noqa: SLF001
