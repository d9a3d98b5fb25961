"""Serve until the other side is gone: on a port named as argument, or on stdin and stdout."""

import os
import sys

from chainrace.gate.agent import Agent, Line, serve
from chainrace.model.protocol import Release


def main() -> None:
    """Serve; let everything go afterwards."""
    os.makedirs("/run/chainrace", exist_ok=True)
    if sys.argv[1:]:
        port = os.open(sys.argv[1], os.O_RDWR | os.O_CLOEXEC)
        line = Line(port, port)
    else:
        line = Line(sys.stdin.fileno(), sys.stdout.fileno())
    agent = Agent(line.source)
    try:
        serve(agent, line)
    finally:
        if agent.stepping is not None:
            agent.answer(Release())


main()
