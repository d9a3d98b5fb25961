"""The lab's end of the line to the agent (chainrace/gate) that it brings to a node."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any, Self

import chainrace
from chainrace.errors import LabError
from chainrace.node.ssh import Connection

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


class Agent:
    """Requests to a node, one at a time. Use as a context manager."""

    def __init__(self, connection: Connection) -> None:
        self._name = connection.name
        # An agent whose lab was interrupted may still be in the middle of a trial.
        connection.succeed("mkdir -p /run/chainrace; pkill -f '[c]hainrace.gate' || true")
        connection.put(_archive(), ARCHIVE)
        self._channel = connection.open(f"PYTHONPATH={ARCHIVE} exec python3 -m chainrace.gate")
        self._rest = b""

    def ask(self, request: str, *, timeout: float, **arguments: Any) -> Any:
        """Send a request and return its answer.

        `timeout` in seconds. Raises AgentError when the node says it cannot, or
        when it does not answer in time; after the latter the line is of no use.
        """
        self._channel.settimeout(timeout)
        try:
            self._channel.sendall(json.dumps({"do": request, **arguments}).encode() + b"\n")
        except OSError as error:
            raise AgentError(
                f"{self._name}: the line is gone before '{request}': {error}",
                "see the node's console under .lab/log",
            ) from error
        while b"\n" not in self._rest:
            try:
                data = self._channel.recv(1 << 20)
            except TimeoutError as error:
                raise AgentError(
                    f"{self._name}: no answer to '{request}' within {timeout:.0f} s",
                    "see the node's console under .lab/log",
                ) from error
            if not data:
                said = self._channel.recv_stderr(1 << 16).decode(errors="replace").strip()
                last = said.splitlines()[-1] if said else "it said nothing"
                raise AgentError(
                    f"{self._name}: the agent ended during '{request}': {last}",
                    "see the node's console under .lab/log",
                )
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        reply = json.loads(line)
        if "error" in reply:
            raise AgentError(
                f"{self._name}: {reply['error']}", f"look at the node: ./lab ssh {self._name}"
            )
        return reply["ok"]

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
