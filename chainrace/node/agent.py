"""The lab's end of the line to the agent (chainrace/gate) that it brings to a node."""

import io
import json
import threading
import zipfile
from pathlib import Path
from typing import Any, Self

import chainrace
from chainrace.errors import LabError
from chainrace.node.line import open_line
from chainrace.node.ssh import Connection

# An answer with every command, log and rule of a trial has some 100 KiB.
MOST_BYTES = 1 << 28
ARCHIVE = "/run/chainrace/agent.zip"


def _archive() -> bytes:
    """chainrace/gate as a zip that the node's own Python runs."""
    package = Path(chainrace.__file__).parent
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for file in [package / "__init__.py", *sorted((package / "gate").glob("*.py"))]:
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
        self._rest = b""
        self._lock = threading.Lock()
        self._asking = False
        self._owed = 0  # answers that are still to come

    def ask(self, request: str, *, timeout: float, **arguments: Any) -> Any:
        """Send a request and return its answer.

        `timeout` in seconds. Raises AgentError when the node says it cannot, or
        when it does not answer in time; after the latter the line is of no use.
        """
        self._line.settimeout(timeout)
        with self._lock:
            self._send(request, arguments)
            self._owed += 1
            self._asking = True
        try:
            # Answers to what was given up, or broken off, come before this one's.
            for _ in range(self._owed):
                reply = self._receive(request, timeout)
                self._owed -= 1
        finally:
            with self._lock:
                self._asking = False
        if "error" in reply:
            raise RefusedError(
                f"{self._name}: {reply['error']}", f"look at the node: ./lab ssh {self._name}"
            )
        return reply["ok"]

    def break_off(self) -> None:
        """Have the request that another thread waits for end soon, with a refusal."""
        with self._lock:
            if self._asking:
                self._send("break", {})
                self._owed += 1

    def _send(self, request: str, arguments: dict[str, Any]) -> None:
        try:
            self._line.sendall(json.dumps({"do": request, **arguments}).encode() + b"\n")
        except OSError as error:
            raise AgentError(
                f"{self._name}: the line is gone before '{request}': {error}",
                "see the node's console under .lab/log",
            ) from error

    def _receive(self, request: str, timeout: float) -> dict[str, Any]:
        while b"\n" not in self._rest:
            try:
                data = self._line.recv(1 << 20)
            except TimeoutError as error:
                raise AgentError(
                    f"{self._name}: no answer to '{request}' within {timeout:.0f} s",
                    "see the node's console under .lab/log",
                ) from error
            if not data:
                raise AgentError(
                    f"{self._name}: the agent ended during '{request}': {self._line.last_words()}",
                    "see the node's console under .lab/log",
                )
            self._rest += data
            if len(self._rest) > MOST_BYTES:
                raise AgentError(
                    f"{self._name}: the answer to '{request}' is longer than can be true",
                    f"look at the node: ./lab ssh {self._name}",
                )
        line, _, self._rest = self._rest.partition(b"\n")
        return dict(json.loads(line))

    def close(self) -> None:
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
