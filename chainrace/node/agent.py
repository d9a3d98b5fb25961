"""The lab's end of the line to the agent (chainrace/gate) that it brings to a node."""

import io
import json
import threading
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import chainrace
from chainrace.base.errors import LabError
from chainrace.base.narration import running
from chainrace.model.protocol import A, Break, Request, name_of, to_line
from chainrace.node.limit import MOST_BYTES, SAYS_TOO_MUCH, Deadline
from chainrace.node.line import open_line
from chainrace.node.ssh import Connection

BREAK_SECONDS = 10.0
ARCHIVE = "/run/chainrace/agent.zip"
ON_NODE = ("gate", "model", "subjects")


def _archive() -> bytes:
    """chainrace/gate and what it knows of the model as a zip that the node's own Python runs."""
    package = Path(chainrace.__file__).parent
    files = [file for room in ON_NODE for file in sorted((package / room).rglob("*.py"))]
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for file in [package / "__init__.py", *files]:
            archive.write(file, str(file.relative_to(package.parent)))
    return data.getvalue()


class AgentError(LabError):
    """The node could not do what was asked; what it said is in `what`."""


class RefusedError(AgentError):
    """The node answered that it cannot; its line still works."""


class Agent:
    """Requests to a node, one at a time. Use as a context manager.

    `survives_restore`: whether its line outlives a restored snapshot of the node.
    """

    def __init__(self, connection: Connection, port: Path | None = None) -> None:
        """Bring the agent to the node and start it, on `port` where the node has one."""
        self._name = connection.name
        self._connection = connection
        self._port = port
        self.begin()

    def begin(self) -> None:
        """Bring and start it; again after a reboot. Raises LabError."""
        # An agent whose lab was interrupted may still be in the middle of a trial.
        # (One on a port is a unit, which its successor ends.)
        self._connection.succeed("mkdir -p /run/chainrace; pkill -f '[c]hainrace.gate$' || true")
        self._connection.put(_archive(), ARCHIVE)
        command = f"PYTHONPATH={ARCHIVE} python3 -m chainrace.gate"
        self._line = open_line(self._connection, command, self._port)
        self.survives_restore = self._line.survives_restore
        self._rest = bytearray()
        self._lock = threading.Lock()
        self._asking = False
        self._owed = 0  # answers that are still to come

    def ask(self, request: Request[A], *, timeout: float) -> A:
        """Send a request and return its answer.

        `timeout` in seconds, for the whole answer. Raises AgentError when the node says it
        cannot, when it has not answered in time, and when it says more than `MOST_BYTES`; after
        the latter two the line is of no use.
        """
        deadline = Deadline(timeout)
        name = name_of(request)
        try:
            with self._lock:
                self._owed += 1
                self._asking = True
                self._send(request, deadline)
            with running(self._name, name, request):
                # Answers to what was given up, or broken off, come before this one's.
                reply = self._owed_answers(name, deadline, timeout)
        except KeyboardInterrupt:
            # Whatever cleans up would wait for this one's end, and for ever where it restores a
            # snapshot first: what the node still owes is not known there.
            self.break_off()
            with suppress(AgentError):
                self._owed_answers("break", Deadline(BREAK_SECONDS), BREAK_SECONDS)
            raise
        finally:
            with self._lock:
                self._asking = False
        if "error" in reply:
            raise RefusedError(
                f"{self._name}: {reply['error']}", f"look at the node: ./lab ssh {self._name}"
            )
        answer: A = reply["ok"]
        return answer

    def _owed_answers(self, request: str, deadline: Deadline, timeout: float) -> dict[str, Any]:
        """The last of the answers that the node owes now; more may be owed meanwhile."""
        reply: dict[str, Any] = {}
        for _ in range(self._owed):
            reply = self._receive(request, deadline, timeout)
            self._owed -= 1
        return reply

    def break_off(self) -> None:
        """Have the request that another thread waits for end soon, with a refusal."""
        with self._lock:
            if self._asking:
                self._send(Break(), Deadline(BREAK_SECONDS))
                self._owed += 1

    def _send(self, request: Request[Any], deadline: Deadline) -> None:
        try:
            self._line.send(json.dumps(to_line(request)).encode() + b"\n", deadline)
        except OSError as error:
            why = str(error) or "timed out"
            raise AgentError(
                f"{self._name}: the line is gone before '{name_of(request)}': {why}",
                "see the node's console under .lab/log",
            ) from error

    def _receive(self, request: str, deadline: Deadline, timeout: float) -> dict[str, Any]:
        looked_at = 0
        while (end := self._rest.find(b"\n", looked_at)) < 0:
            looked_at = len(self._rest)
            if looked_at > MOST_BYTES:
                raise AgentError(
                    f"{self._name}: the agent's answer to '{request}' {SAYS_TOO_MUCH}",
                    f"look at the node: ./lab ssh {self._name}",
                )
            self._rest += self._piece(request, deadline, timeout)
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return self._read(request, line)

    def _piece(self, request: str, deadline: Deadline, timeout: float) -> bytes:
        try:
            data = self._line.receive(deadline)
        except TimeoutError as error:
            raise AgentError(
                f"{self._name}: no answer to '{request}' within {timeout:.0f} s",
                "see the node's console under .lab/log",
            ) from error
        except OSError as error:
            raise AgentError(
                f"{self._name}: the line is gone during '{request}': {error}",
                "see the node's console under .lab/log",
            ) from error
        if not data:
            raise AgentError(
                f"{self._name}: the agent ended during '{request}': {self._line.last_words()}",
                "see the node's console under .lab/log",
            )
        return data

    def _read(self, request: str, line: bytes) -> dict[str, Any]:
        """An answer: `ok` with what was asked for, or `error` with why there is nothing."""
        try:
            reply = json.loads(line)
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, dict) or not reply.keys() & {"ok", "error"}:
            raise AgentError(
                f"{self._name}: what came for '{request}' is no answer of the agent's",
                f"look at the node: ./lab ssh {self._name}",
            )
        return reply

    def close(self) -> None:
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
