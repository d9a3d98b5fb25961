"""The light node from outside: its agent as a child, and one script explored on it."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self, cast

from chainrace.model.protocol import A, Clean, Request, to_line
from chainrace.node.agent import Agent, RefusedError
from tests.fuzz.explored import Explored

LIMIT = 20.0
SCRIPTS = Path("/var/tmp/chainrace-light")  # apart from what each start empties


def why_not() -> str:
    """Why no light node can be had here; empty where it can."""
    if os.geteuid() != 0:
        return "the light node needs root"
    missing = [one for one in ("iptables", "nft", "ip", "unshare") if shutil.which(one) is None]
    return f"the light node needs {', '.join(missing)}" if missing else ""


class LightAgent:
    """Speaks to tests/light/machine.py as chainrace.node.agent.Agent does to a node."""

    survives_restore = False

    def __init__(self) -> None:
        SCRIPTS.mkdir(exist_ok=True)
        # One at a time: all of them hear the same kernel's audit.
        self._alone = (SCRIPTS / "lock").open("w")
        try:
            fcntl.flock(self._alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another light node runs on this machine: waiting for it", file=sys.stderr)
            fcntl.flock(self._alone, fcntl.LOCK_EX)
        self._begin()

    def _begin(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.light.machine"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.ask(Clean(), timeout=LIMIT)

    def revive(self) -> None:
        """Begin again where the node has ended."""
        if self._child.poll() is not None:
            self._begin()

    def ask(self, request: Request[A], *, timeout: float) -> A:
        """Send a request and return its answer. Raises RefusedError."""
        assert timeout > 0
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(to_line(request)).encode() + b"\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise AssertionError(f"the light node ended with {self._child.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise RefusedError(f"light: {reply['error']}", "look at its output above")
        answer: A = reply["ok"]
        return answer

    def break_off(self) -> None:
        """Nothing here waits for long."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait(timeout=30)
        self._alone.close()


class LightNode(Explored):
    """One light node, on which scripts are explored one after the other."""

    def __init__(self, agent: LightAgent, folder: Path) -> None:
        super().__init__(cast("Agent", agent), folder, bring, LIMIT)

    def revive(self) -> None:
        """Another agent in the place of one that has ended."""
        cast("LightAgent", self.agent).revive()


def bring(text: str) -> str:
    """Lay a script where the light node finds it."""
    path = SCRIPTS / hashlib.sha256(text.encode()).hexdigest()[:12]
    path.write_text(text)
    path.chmod(0o755)
    return str(path)
