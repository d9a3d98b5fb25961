"""The parts of the node's side that need no node."""

import os
import subprocess

import pytest

from chainrace.gate import journal, monitor, nftables, process, rules, words


def test_a_plain_rule_set_has_no_counters_and_no_comments() -> None:
    text = "# by hand\n*filter\n:INPUT DROP [3:9]\n-A INPUT -j DROP\nCOMMIT\n"
    assert rules.plain(text) == ["*filter", "-A INPUT -j DROP", ":INPUT DROP", "COMMIT"]


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
    try:
        assert process.waits_for_a_writer(reader.pid)
        assert not process.waits_for_a_writer(writer.pid)
        assert not process.waits_for_a_writer(alone.pid)
        writer.kill()
        writer.wait()
        assert not process.waits_for_a_writer(reader.pid)
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
