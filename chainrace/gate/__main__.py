"""The node's side of the line: one JSON request a line in, one JSON answer a line out."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from chainrace.gate import rules
from chainrace.gate.nftables import generation
from chainrace.gate.rules import CleanState, NodeError
from chainrace.gate.trial import run_trial


class _Agent:
    def __init__(self) -> None:
        self.clean: CleanState | None = None

    def answer(self, request: dict[str, Any]) -> Any:
        name = request.pop("do")
        if name == "clean":
            self.clean = CleanState()
            return self.clean.rules
        if name == "trial":
            if self.clean is None:
                raise NodeError("no clean state is recorded yet")
            return run_trial(self.clean, **request)
        if name == "rules":
            return rules.read()
        if name == "generation":
            return generation()
        raise NodeError(f"unknown request {name!r}")


def main() -> None:
    """Serve until the line closes."""
    os.makedirs("/run/chainrace", exist_ok=True)
    agent = _Agent()
    for line in sys.stdin:
        try:
            reply = {"ok": agent.answer(json.loads(line))}
        except (NodeError, OSError) as error:
            reply = {"error": str(error)}
        print(json.dumps(reply), flush=True)


main()
