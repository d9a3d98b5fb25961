"""The lab's end of the line to a node's agent, which may answer anything, slowly or without end."""

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from chainrace.model.protocol import Clean, Rules, Tables, Trial, Walk, Watch
from chainrace.node import agent as agents
from chainrace.node.agent import Agent, AgentError, RefusedError
from chainrace.node.limit import Deadline
from chainrace.node.line import PortLine, _receive
from chainrace.node.ssh import Connection

MIB = 2**20
Node = Callable[[Callable[[socket.socket], None]], Agent]
TRIAL = Trial(None, delay=0.0, limit=1.0, azure_npm=False)


def walk(entropy: str = "") -> Walk:
    return Walk([], entropy, None, rules_too=False, evidence=False, places=False)


def heard(answer: object) -> object:
    """What the other end of a test said, whatever the request's answer is by its type."""
    return answer


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """An agent whose other end does what a test says, on a thread of its own."""
    ends: list[socket.socket] = []

    def begin(does: Callable[[socket.socket], None]) -> Agent:
        here, there = socket.socketpair()
        ends.extend((here, there))
        line = object.__new__(PortLine)
        line._socket, line._name = here, "node1"
        monkeypatch.setattr(agents, "open_line", lambda *_: line)

        def run() -> None:
            with suppress(OSError):
                does(there)

        threading.Thread(target=run, daemon=True).start()
        fake = SimpleNamespace(name="node1", succeed=lambda _: "", put=lambda *_: None)
        return Agent(cast("Connection", fake))

    yield begin
    for end in ends:
        end.close()


def requests(there: socket.socket) -> Iterator[dict[str, Any]]:
    with there.makefile("rb") as lines:
        for line in lines:
            yield json.loads(line)


def test_an_answer_in_many_pieces_is_one(node: Node) -> None:
    def does(there: socket.socket) -> None:
        for request in requests(there):
            for byte in json.dumps({"ok": request}).encode() + b"\n":
                there.sendall(bytes([byte]))

    agent = node(does)
    assert heard(agent.ask(Watch(3.0), timeout=10)) == {"do": "watch", "limit": 3.0}
    assert heard(agent.ask(Tables(), timeout=10)) == {"do": "tables"}


def test_the_limit_in_time_is_for_the_whole_answer(node: Node) -> None:
    def does(there: socket.socket) -> None:
        while True:
            there.sendall(b"x")
            time.sleep(0.02)

    begun = time.monotonic()
    with pytest.raises(AgentError, match=r"^node1: no answer to 'clean' within 0 s\n"):
        node(does).ask(Clean(), timeout=0.4)
    assert 0.4 <= time.monotonic() - begun < 3


def test_an_answer_without_an_end_is_cut_off(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def does(there: socket.socket) -> None:
        while True:
            there.sendall(b"x" * 65536)

    monkeypatch.setattr(agents, "MOST_BYTES", 4 * MIB)
    agent = node(does)
    for _ in range(2):  # the second time at once: what has come is still there
        with pytest.raises(
            AgentError, match=r"^node1: the agent's answer to 'trial' said more than 64 MiB\n"
        ):
            agent.ask(TRIAL, timeout=60)


def test_an_agent_that_takes_no_request_is_not_waited_for(node: Node) -> None:
    agent = node(lambda _: time.sleep(3))
    begun = time.monotonic()
    with pytest.raises(AgentError, match="the line is gone before 'walk': timed out"):
        agent.ask(walk(entropy="x" * 16 * MIB), timeout=0.4)
    assert time.monotonic() - begun < 2


ODD = [b"", b"{", b"3", b"null", b"[]", b"{}", b'{"fine": 1}', b"\xff\xfe", b"[" * 100_000]


@pytest.mark.parametrize("answer", ODD, ids=range(len(ODD)))
def test_what_is_no_answer_is_one_line(node: Node, answer: bytes) -> None:
    def does(there: socket.socket) -> None:
        for _ in requests(there):
            there.sendall(answer + b"\n")

    with pytest.raises(AgentError, match="is no answer of the agent's") as told:
        node(does).ask(Rules(), timeout=10)
    assert "\n" not in told.value.what


def test_a_refusal_leaves_the_line_in_use(node: Node) -> None:
    def does(there: socket.socket) -> None:
        for request in requests(there):
            bad = request["do"] == "trial"
            reply = {"error": "no\x1b[2J kubelet"} if bad else {"ok": 1}
            there.sendall(json.dumps(reply).encode() + b"\n")

    agent = node(does)
    with pytest.raises(RefusedError) as told:
        agent.ask(TRIAL, timeout=10)
    assert "\x1b" not in str(told.value)
    assert heard(agent.ask(Rules(), timeout=10)) == 1


def test_a_request_can_be_broken_off_while_it_is_waited_for(node: Node) -> None:
    def does(there: socket.socket) -> None:
        asked = [next(requests(there))["do"]]
        with there.makefile("rb") as lines:
            asked.append(json.loads(lines.readline())["do"])
        time.sleep(0.3)
        there.sendall(json.dumps({"error": "broken off"}).encode() + b"\n")
        there.sendall(json.dumps({"ok": None}).encode() + b"\n")
        there.sendall(json.dumps({"ok": asked}).encode() + b"\n")
        time.sleep(3)

    agent = node(does)
    threading.Timer(0.2, agent.break_off).start()
    with pytest.raises(RefusedError, match="broken off"):
        agent.ask(walk(), timeout=10)
    assert heard(agent.ask(Rules(), timeout=10)) == ["walk", "break"]


def test_an_interruption_breaks_off_what_is_asked_and_waits_for_its_end(node: Node) -> None:
    """Else a snapshot that is restored then would not know of the answers that are owed."""
    owed: list[str] = []

    def does(there: socket.socket) -> None:
        for request in requests(there):
            if request["do"] == "walk":
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            elif request["do"] == "break":
                time.sleep(0.2)
                owed.extend(["walk", "break"])
                there.sendall(b'{"error": "broken off"}\n{"ok": null}\n')
            else:
                there.sendall(json.dumps({"ok": request["do"]}).encode() + b"\n")

    agent = node(does)
    # Whoever started the tests in the background may have them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            agent.ask(walk(), timeout=10)
    finally:
        signal.signal(signal.SIGINT, before)
    assert owed == ["walk", "break"]
    assert heard(agent.ask(Rules(), timeout=10)) == "rules"


def test_the_limit_of_whoever_breaks_a_request_off_does_not_cut_the_requests_own_short() -> None:
    class Shared:
        """A socket whose limit another thread has just set to less."""

        answers: ClassVar[list[Any]] = [TimeoutError(), TimeoutError(), b"late"]

        def settimeout(self, seconds: float) -> None:
            assert 0 < seconds <= 10

        def recv(self, _: int) -> bytes:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return bytes(answer)

    assert _receive(cast("socket.socket", Shared()), Deadline(10)) == b"late"


def test_an_agent_that_ends_is_told_so(node: Node) -> None:
    def does(there: socket.socket) -> None:
        next(requests(there))
        there.shutdown(socket.SHUT_RDWR)

    with pytest.raises(AgentError, match="the agent ended during 'rules': see journalctl"):
        node(does).ask(Rules(), timeout=10)
