"""Who comes to the door: each held process as a command, with whose it is."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress

from chainrace.gate.actor import Actor, Held
from chainrace.gate.door import Waiting, interpreter_of
from chainrace.gate.process import DAEMON, Command, describe, file_of, held_in_exec
from chainrace.gate.proof import Proof
from chainrace.gate.shells import Shells
from chainrace.gate.whose import SCRIPT, Owners
from chainrace.model.actors import KUBELET, SCRIPT_ACTOR


class Arrivals:
    """Names those that wait. `actors` are those with one history each, by letter."""

    def __init__(
        self,
        script_path: str,
        owners: Owners,
        actors: Mapping[str, Actor],
        shells: Shells,
        proof: Proof,
    ) -> None:
        """`script_path` is the script's own file, empty where there is none."""
        self._script_path = script_path
        self._owners = owners
        self._actors = actors
        self._shells = shells
        self._proof = proof
        self._by_env = False

    def is_the_script(self, waiting: Waiting) -> bool:
        """The script's own execve is its first step, which has been taken: it is not held."""
        script = self._actors[SCRIPT_ACTOR]
        if waiting.pid == script.main_pid and self._by_env:
            # env(1), which its first line names, has become the shell: `#!/usr/bin/env bash`.
            self._by_env = False
            return True
        if script.main_pid is not None or not self._script_path:
            return False
        if waiting.path != os.path.realpath(self._script_path):
            return False
        script.main_pid = waiting.pid
        interpreter = interpreter_of(waiting.opening.handle)
        self._by_env = os.path.basename(interpreter) == "env"
        self._keep_silent(script, waiting.pid)
        return True

    def named(self, waiting: Waiting) -> Command | None:
        """A process that waits, as a command; None where it is gone."""
        pid, now = waiting.pid, time.monotonic()
        if waiting.owner == SCRIPT:
            interpreter = interpreter_of(waiting.opening.handle)
            command = held_in_exec(pid, now, waiting.path, interpreter, self._owners.label(pid))
            if command is not None and command.exe in self.actor_of(pid).understood:
                command.kind = DAEMON
            if command is not None and (why := self._shells.unwatched(command, interpreter)):
                self._proof.doubt(why)
            return command
        command = describe(pid, now, in_exec=waiting.opening.in_exec)
        if command is not None:
            command.actor = KUBELET
        return command

    def connect(self, held: Held) -> None:
        """Say what the standard input and output of a process of an actor's are."""
        pid, command = held.command.pid, held.command
        if self._owners.script[pid].parent == 1:
            # A unit's own output goes to the journal, where nobody of the script's reads it.
            self._keep_silent(self.actor_of(pid), pid)
        command.input = self.actor_of(pid).listen(held).input
        command.source, command.target = file_of(pid, 0), file_of(pid, 1)

    def actor_of(self, pid: int) -> Actor:
        """Whose a process is, of those with one history each."""
        return self._actors[self._owners.script[pid].actor]

    @staticmethod
    def _keep_silent(actor: Actor, pid: int) -> None:
        for number in (1, 2):
            with suppress(OSError):
                actor.silent.add(os.readlink(f"/proc/{pid}/fd/{number}"))
