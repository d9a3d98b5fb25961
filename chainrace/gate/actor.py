"""An actor under the gate, with all that follows from it: which of it waits, whether it goes on.

A script (script.py), or a unit of systemd's (program.py). Each program that it executes is a step.
Where several wait at once, each is a lane of its own (s, t, u, ...), in the order of how they were
forked: whose turn is next is chosen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from chainrace.gate.answers import Capture, Pipes
from chainrace.gate.descriptors import link_of, reads
from chainrace.gate.door import Waiting
from chainrace.gate.process import Command, waits_for_a_writer
from chainrace.gate.rest import Look
from chainrace.gate.units import jobs
from chainrace.gate.whose import Owners, Process

# The first step of each actor is its own start: fail2ban begins behind iptables.service
BEGINS, BEHIND = "begins", "behind"
# How long a program that polls must have slept in one call before it is taken for one that
# waits for another of its actor's, which waits at the gate.
QUIET_SECONDS = 0.4
# systemctl waits in poll(2) for systemd's job. Source: sd_bus_wait().
CLIENTS = frozenset({"systemctl", "systemd-run"})


def begins(behind: Sequence[str]) -> list[str]:
    """The words of a start, which systemd would make wait for the jobs of units `behind`."""
    return [BEGINS, BEHIND, *behind] if behind else [BEGINS]


@dataclass
class Held:
    """A process that waits, and who it is."""

    command: Command
    waiting: Waiting


@dataclass
class Answer:
    """How a process of an actor's ended: which step it was, its exit code, what it wrote."""

    step: int
    code: int | None
    out: str


@dataclass
class Actor:
    """Its processes. `held` are those of all actors, the loop's own list.

    `letter` is whose they are in schedules, `main_unit` the unit that it runs in. The door's
    thread adds to the owners at any offset: what goes through them takes a copy.
    """

    owners: Owners
    held: dict[int, Held]
    main_unit: str
    letter: str
    name: str
    takes_part: bool = True
    begun: bool = False
    ended: bool = False  # all that followed from it
    code: int | None = None  # of its first process
    main_pid: int | None = None
    new_units: Callable[[], list[str]] = list
    jobs: Callable[[], dict[str, str]] = jobs
    others: frozenset[str] = frozenset()  # units of other actors
    understood: frozenset[str] = frozenset()  # its own programs of kind `daemon`
    by_turns: frozenset[str] = frozenset()  # processes that may sleep and look by turns (rest.py)
    pipes: Pipes = field(default_factory=Pipes)
    running: dict[int, int] = field(default_factory=dict)  # pid -> its latest step
    silent: set[str] = field(default_factory=set)  # sockets that lead to the journal
    answers: list[Answer] = field(default_factory=list)
    _captures: dict[int, Capture] = field(default_factory=dict)
    _ended: list[tuple[int, int, Capture | None]] = field(default_factory=list)
    _quiet: tuple[dict[int, str], float] = ({}, 0.0)
    _overflown: set[str] = field(default_factory=set)  # pipes whose writer waits for a reader
    _looked: dict[int, str] | None = None

    def start(self) -> Command:
        """Its first step, its own start, as a command."""
        return Command(0, self.name, self.name, begins(()), time.monotonic())

    def begin(self, entropy: str) -> None:
        """Have its start made; `entropy` in hexadecimal is the machine's to draw from."""
        raise NotImplementedError

    def done(self) -> bool:
        """Whether all that followed from it has ended; so for one that takes no part."""
        return not self.takes_part or (self.begun and self.ended)

    def processes(self) -> dict[int, Process]:
        """Those of this actor that there are, by their number."""
        return {
            pid: one for pid, one in list(self.owners.script.items()) if one.actor == self.letter
        }

    def works_by_systemd(self) -> bool:
        """Whether systemd may have a job because of it: a client of it, or a unit that it began."""
        return any(
            self.owners.unit(pid) not in ("", self.main_unit) or _names([pid])[0] in CLIENTS
            for pid in self.processes()
        )

    def mine(self) -> list[Held]:
        """All of its processes that wait, in the order of their forks."""
        mine = self.processes()
        found = [one for one in self.held.values() if one.command.pid in mine]
        return sorted(found, key=lambda one: _order(self.owners, one.command.pid))

    def ready(self) -> list[Held]:
        """Those that wait and have all their input: in a pipeline the writers come first."""
        mine = self.mine()
        others = list(self.processes())
        found = [
            one for one in mine if not waits_for_a_writer(one.command.pid, others, self._overflown)
        ]
        # Each may be the other's writer: a coprocess.
        return found or mine

    def listen(self, one: Held) -> Capture:
        """Prepare to hear what a held process will write for its caller."""
        pid = one.command.pid
        found = self._captures.get(pid)
        if found is None:
            found = Capture(
                pid,
                self.owners.script.keys,
                lambda other: other in self.held,
                self.pipes,
                self.silent,
            )
            self._captures[pid] = found
        return found

    def output(self, one: Held) -> str:
        """What a held process's output is now: `step` for a pipe that only other steps read.

        `pipe` is one that a shell of its own reads by itself: it is told what is written.
        """
        capture = self.listen(one)
        if capture.output != "pipe":
            return capture.output
        both = (link_of(one.command.pid, number) for number in (1, 2))
        links = {link for link in both if link.startswith("pipe:")}
        readers = [pid for pid in self.processes() if pid not in self.held]
        return "pipe" if any(reads(pid, links) for pid in readers) else "step"

    def let_go(self, pid: int, step: int, *, listen: bool) -> None:
        """A process of it is about to be let go, as the step of this number."""
        self.running[pid] = step
        self._looked = None
        if listen:
            self._captures[pid].begin()

    def heard_end(self, pid: int, code: int) -> None:
        """One of its processes ended."""
        if pid == self.main_pid:
            self.code = code
        step = self.running.pop(pid, None)
        capture = self._captures.pop(pid, None)
        if capture is not None:
            capture.ended()
        if step is not None:
            self._ended.append((step, code, capture))

    def is_there(self) -> bool:
        """Whether its first process has been there."""
        return self.main_pid is not None

    def take_answers(self) -> list[Answer]:
        """What has been answered since the last call, in the order of the steps."""
        found, self.answers = sorted(self.answers, key=lambda one: one.step), []
        return found

    def missing(self) -> str:
        """What of it still goes on by itself, in words; empty where it is settled."""
        if not self.begun or self.ended:
            return ""
        if not self.is_there():
            return f"the {self.name} has not been started yet"
        for capture in self._captures.values():
            if capture.full():
                # Its reader may read, whatever that is: what it read is not known.
                self._overflown |= capture.links
                capture.give_up()
        look = Look(self.held.keys(), self.pipes.stopped(), self.by_turns)
        mine = self.processes()
        why = look.missing(mine, self._children)
        if why:
            self._looked = None
            return why
        if look.prints != self._looked:
            # Once more: what woke up meanwhile has another print.
            self._looked = look.prints
            return f"the {self.name} is looked at once more"
        going_on = self.pipes.rest()
        # What has ended is let go at once: its readers wait for the end of its pipe.
        for step, code, ended in self._ended:
            self.answers.append(Answer(step, code, ended.finish() if ended else ""))
        self._ended.clear()
        if going_on:
            self._looked = None
            return "readers of what was written go on"
        return self._waits_for_nobody(look, mine) if mine else self._over()

    def _children(self, pid: int) -> set[int]:
        process = self.owners.script.get(pid)
        return process.children & self.owners.script.keys() if process else set()

    def _waits_for_nobody(self, look: Look, mine: Mapping[int, Process]) -> str:
        if not self.held.keys() & mine.keys():
            names = ", ".join(_names(look.polls or list(mine)[:3]))
            return f"the {self.name} has not ended: {names} waits, and nothing of it is held"
        for pid in look.polls:
            if _names([pid])[0] in CLIENTS:
                if why := self._job_goes_on():
                    return why
            elif self._quiet[0] != look.prints:
                self._quiet = (look.prints, time.monotonic())
                return f"{_names([pid])[0]} may go on"
            elif time.monotonic() - self._quiet[1] < QUIET_SECONDS:
                return f"{_names([pid])[0]} may go on"
        return ""

    def _job_goes_on(self) -> str:
        """A job of systemd's none of whose processes is there: systemd is at work."""
        here = {self.owners.unit(pid) for pid in self.processes()}
        for unit, state in self.jobs().items():
            if state == "running" and unit not in here and unit not in self.others:
                return f"systemd works on {unit}"
        return ""

    def _over(self) -> str:
        """All of its processes are gone: jobs and timers may still be to come."""
        coming = [unit for unit in self.jobs() if unit not in self.others]
        if coming:
            return f"systemd has a job for {coming[0]}"
        theirs = {unit for unit, whose in self.owners.actors.items() if whose != self.letter}
        if units := [one for one in self.new_units() if one not in theirs | self.others]:
            return f"{units[0]}, which it started, goes on"
        self.ended = True
        self.owners.at_work.discard(self.letter)
        return ""


def _order(owners: Owners, pid: int) -> tuple[tuple[str, str], ...]:
    process = owners.script.get(pid)
    # Numbers before names, each compared with its like.
    return tuple(
        (f"{part:09d}" if isinstance(part, int) else "", str(part))
        for part in (process.path if process else ())
    )


def _names(pids: Iterable[int]) -> list[str]:
    return [_name(pid) for pid in pids]


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "?"
