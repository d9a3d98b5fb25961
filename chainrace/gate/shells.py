"""The node's shells: whose own looks the kernel is asked to record (looks.py)."""

from __future__ import annotations

import os
from contextlib import suppress

from chainrace.gate.door import interpreter_of
from chainrace.gate.process import Command
from chainrace.model.shells import SHELLS

FOLDERS = ("/bin", "/usr/bin", "/usr/local/bin")


class Shells:
    """`files` are those of the node's shells and of what interprets the script; without links."""

    def __init__(self, script: str | None) -> None:
        named = [os.path.join(folder, name) for folder in FOLDERS for name in SHELLS]
        if script is not None:
            with suppress(OSError), open(script, "rb") as file:
                named.append(interpreter_of(file.fileno()))
        there = {os.path.realpath(path) for path in named if path and os.path.isfile(path)}
        self.files = sorted(there)

    def unwatched(self, command: Command, interpreter: str) -> str:
        """Why what a shell looks at by itself is not seen; empty where it is, and for others.

        `interpreter` is what the first line of the command's file names, empty for a binary.
        """
        if command.kind != "shell" or os.path.basename(interpreter) == "env":
            return ""
        shell = os.path.realpath(interpreter or command.path)
        if shell in self.files:
            return ""
        return f"what {shell} looks at by itself is not seen: it is none of the node's shells"
