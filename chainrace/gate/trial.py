"""One trial by chance, on the node: kubelet starts, the script is fired, both are watched.

Every wait ends on a fact: a process has ended, kubelet has logged its word. The
limit only tells a broken environment from a slow one.
"""

from __future__ import annotations

import glob
import os
import re
import select
import subprocess
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

from chainrace.gate import rules
from chainrace.gate.fanotify import OpenGate
from chainrace.gate.process import KUBELET_UNIT, SCRIPT_UNIT, Command, describe
from chainrace.gate.procevents import Ended, ProcessEvents
from chainrace.gate.rules import NodeError
from chainrace.gate.words import BEYOND, FAILED, FAMILY_OF_PROTOCOL, INITIALISED

FIRE = "/run/chainrace/fire"
CANARY = "KUBE-KUBELET-CANARY"
PROGRAMS = re.compile(r"(ip6?tables|xtables|nft)\b")  # iptables, ip6tables-save, nft


@dataclass
class Watch:
    """What has been seen so far. Times are CLOCK_MONOTONIC seconds."""

    started: float = 0.0
    first_step: float | None = None
    fired: float | None = None
    script_ended: float | None = None
    script_code: int | None = None
    settled: float | None = None
    beyond: bool = False
    words: dict[str, str] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)
    journal: list[str] = field(default_factory=list)


def _library() -> str:
    found = glob.glob("/usr/lib*/libxtables.so.*") + glob.glob("/usr/lib*/*/libxtables.so.*")
    if not found:
        raise NodeError("no libxtables.so on this node: its iptables cannot be watched")
    return os.path.realpath(found[0])


def _main_pid(unit: str) -> int:
    return int(rules.run(["systemctl", "show", "-P", "MainPID", unit]).strip())


class _Trial:
    def __init__(self, script: str | None, delay: float, limit: float) -> None:
        self.script = script
        self.delay = delay
        self.deadline = time.monotonic() + limit
        self.watch = Watch()
        self.running: dict[int, Command] = {}
        self.script_pid: int | None = None
        self.kubelet_pid: int | None = None
        self._rest = b""

    def run(self) -> Watch:
        """Race, to the last fact. Raises NodeError when the environment is broken."""
        with ExitStack() as stack:
            cursor = rules.run(["journalctl", "-n", "0", "--show-cursor"]).split("-- cursor: ")[-1]
            if self.script is not None:
                self._arm(stack, self.script)
            events = stack.enter_context(ProcessEvents())
            gate = stack.enter_context(OpenGate(_library()))
            journal = self._follow(stack, cursor.strip())
            self.watch.started = time.monotonic()
            rules.run(["systemctl", "start", KUBELET_UNIT])
            self.kubelet_pid = _main_pid(KUBELET_UNIT)
            self._loop(gate, events, journal)
        if self.watch.first_step is None:
            raise NodeError("kubelet initialised without running iptables once")
        self.watch.settled = time.monotonic()
        return self.watch

    @staticmethod
    def _follow(stack: ExitStack, cursor: str) -> int:
        """Start reading kubelet's journal from a cursor on; returns the pipe to read."""
        journal, its_end = os.pipe()
        follower = subprocess.Popen(
            [
                *("journalctl", "--follow", "--output=cat", "--unit", KUBELET_UNIT),
                *("--after-cursor", cursor),
            ],
            stdout=its_end,
            stderr=subprocess.DEVNULL,
        )
        os.close(its_end)
        stack.callback(os.close, journal)
        stack.callback(follower.wait)
        stack.callback(follower.kill)
        return journal

    def _arm(self, stack: ExitStack, script: str) -> None:
        """Start the script's unit, its shell waiting at its first line."""
        if not os.access(script, os.X_OK):
            raise NodeError(f"{script} is not an executable file on this node")
        if not os.path.exists(FIRE):
            os.mkfifo(FIRE, 0o600)
        # One may be left of an agent that was killed while it was armed.
        self._disarm()
        rules.run(
            [
                *("systemd-run", "--quiet", "--collect", f"--unit={SCRIPT_UNIT}"),
                *("--property=Type=exec", "/bin/sh", "-c"),
                *(f'read -r _ <{FIRE}; exec "$0"', script),
            ]
        )
        stack.callback(self._disarm)
        self.script_pid = _main_pid(SCRIPT_UNIT)

    @staticmethod
    def _disarm() -> None:
        """End the script's unit; most often it is gone already, and that is no error."""
        subprocess.run(["systemctl", "stop", SCRIPT_UNIT], stderr=subprocess.DEVNULL, check=False)

    def _fire(self) -> None:
        with open(os.open(FIRE, os.O_RDWR), "w", encoding="ascii") as fifo:
            fifo.write("now\n")
        self.watch.fired = time.monotonic()

    def _loop(self, gate: OpenGate, events: ProcessEvents, journal: int) -> None:
        poll = select.poll()
        for descriptor in (gate.fileno(), events.fileno(), journal):
            poll.register(descriptor, select.POLLIN)
        while not self._over():
            now = time.monotonic()
            if now > self.deadline:
                raise NodeError(f"the trial's limit passed; {self._missing()}")
            wait = self.deadline - now
            due = self._due()
            if due is not None:
                if due <= now:
                    self._fire()
                    continue
                wait = min(wait, due - now)
            ready = {descriptor for descriptor, _ in poll.poll(max(1.0, wait * 1000))}
            if gate.fileno() in ready:
                self._see(gate)
            if events.fileno() in ready:
                for ended in events.ended():
                    self._end(ended)
            if journal in ready:
                self._hear(os.read(journal, 65536))

    def _due(self) -> float | None:
        """When the script is to be fired; None before the anchor, and after the shot."""
        if self.script is None or self.watch.first_step is None or self.watch.fired is not None:
            return None
        return self.watch.first_step + self.delay

    def _see(self, gate: OpenGate) -> None:
        for opening in gate.openings():
            now = time.monotonic()
            command = describe(opening.pid, now)
            gate.allow(opening)
            if command is None or not PROGRAMS.match(command.program):
                continue
            if opening.pid in self.running:
                continue  # one process may open the library more than once
            self.running[opening.pid] = command
            self.watch.commands.append(command)
            if command.actor == "kubelet" and self.watch.first_step is None:
                self.watch.first_step = now

    def _end(self, ended: Ended) -> None:
        command = self.running.pop(ended.pid, None)
        if command is not None:
            command.ended, command.code = ended.time, ended.code
        if ended.pid == self.script_pid:
            self.watch.script_ended, self.watch.script_code = ended.time, ended.code
            if self.watch.fired is None:
                raise NodeError("the script's shell ended before it was fired")
        if ended.pid == self.kubelet_pid:
            raise NodeError(f"kubelet ended with {ended.code} in the middle of the trial")

    def _hear(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for raw in lines:
            line = raw.decode(errors="replace")
            self.watch.journal.append(line)
            for pattern, word in ((INITIALISED, "initialised"), (FAILED, "failed")):
                found = pattern.search(line)
                if found:
                    self.watch.words.setdefault(FAMILY_OF_PROTOCOL[found[1]], word)
            self.watch.beyond = self.watch.beyond or BEYOND in line

    def _over(self) -> bool:
        return not self._missing()

    def _missing(self) -> str:
        """What the trial still waits for, in words; empty when nothing."""
        if not self.watch.beyond:
            return "kubelet has not gone beyond its iptables initialisation"
        if self.script is not None and self.watch.script_ended is None:
            return "the script has not ended"
        for family, word in self.watch.words.items():
            if word == "initialised" and not self._canaries_done(family):
                return f"kubelet has not set up its {family} canaries"
        mine = [command for command in self.running.values() if command.actor != "other"]
        if mine:
            return f"{mine[0].program} {' '.join(mine[0].arguments)} has not ended"
        return ""

    def _canaries_done(self, family: str) -> bool:
        """The monitor's first round: mangle, nat, filter, in that order (iptables.go)."""
        program = {"ipv4": "iptables", "ipv6": "ip6tables"}[family]
        return any(
            command.actor == "kubelet"
            and command.program == program
            and command.ended is not None
            and "-N" in command.arguments
            and CANARY in command.arguments
            # 0: made; 1: there already; anything else ends the round (iptables.go)
            and ("filter" in command.arguments or command.code not in (0, 1))
            for command in self.watch.commands
        )


def run_trial(clean: rules.CleanState, script: str | None, delay: float, limit: float) -> Any:
    """Restore the clean state, race once, take the rules, stop kubelet.

    `script` is a path on the node, or None for a clean start (the reference);
    `delay` seconds after kubelet's first iptables process it is fired; `limit`
    seconds make the environment broken. Returns plain data for JSON; what was seen
    is in it even when `error` says that the environment broke.
    """
    begun = time.monotonic()
    trial = _Trial(script, delay, limit)
    answer: dict[str, Any] = {"error": None, "before": {}, "after": {}}
    try:
        clean.restore()
        answer["before"] = clean.rules
        restored = time.monotonic()
        trial.deadline = restored + limit
        trial.run()
        answer["after"] = rules.read()
        taken = time.monotonic()
        answer["phases"] = {
            "restore": restored - begun,
            "race": (trial.watch.settled or taken) - restored,
            "rules": taken - (trial.watch.settled or taken),
        }
    except (NodeError, OSError) as error:
        answer["error"] = str(error)
    answer["watch"] = asdict(trial.watch)
    return answer
