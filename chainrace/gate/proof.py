"""What the proof stands on, checked at every step: who changed rules, wrote files, looked where.

The kernel's own record names each change of rules and the process that made it (witness.py).
Every one between two settled states must belong to the step that was let go, and its program
must be one whose work is understood as one step. What does not fit is a doubt: a sentence, with
which nothing is proved any more.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from typing import NamedTuple

from chainrace.gate.looks import CONNECTS, READS, SIGNALS, Look, place_of
from chainrace.gate.nftables import generation
from chainrace.gate.process import DAEMON, Command
from chainrace.gate.shell import NodeError
from chainrace.gate.whose import SUBJECT, Owners
from chainrace.gate.witness import Change, Witness
from chainrace.gate.written import Files, Written, digest_files
from chainrace.model.actors import KUBELET, LANES, SCRIPT_ACTOR, group

# Programs whose work on rules is known: each call is one step, whatever it is called by.
KNOWN = frozenset(
    {"xtables-nft-multi", "xtables-legacy-multi", "nft", "ipset", "ebtables", "arptables"}
)
FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin")
LOCK = "/run/xtables.lock"
# What the kernel, systemd and the lab itself write is no file of the script's.
NOT_FILES = ("/proc/", "/sys/", "/dev/", "/run/chainrace/", "/run/systemd/", "/run/xtables.lock")


class Settled(NamedTuple):
    """What a step came to besides its answers.

    `wrote` is a digest of the files that the script's processes wrote; `read`: whether a shell of
    its has read by itself what a step wrote; `looked`: what a shell of its was answered that
    looked by itself where kubelet's work or the rules may show: `/var/lib/kubelet/pki: 0 folder`.
    """

    wrote: str = ""
    read: bool = False
    looked: tuple[str, ...] = ()


class Proof:
    """Doubts as they come. Use as a context manager; `begin`, `let_go`, `settle` each step."""

    def __init__(
        self,
        owners: Owners,
        witness: Callable[[], Witness],
        file_systems: list[str],
        script: str | None,
    ) -> None:
        """Begin to watch; `script` is the script's file: that its shell reads it tells nothing."""
        self._owners = owners
        self._script = script and os.path.realpath(script)
        self.doubts: list[str] = []
        self._steps: dict[int, Command] = {}
        self._actors: dict[int, str] = {}  # of those that are not kubelet's
        self._changed: set[tuple[str, str]] | None = None  # None: all must be read
        self._lane = ""
        self._known_files: set[str] = set()
        self._by_steps: set[str] = set()  # files that a step wrote, not a shell by itself
        with ExitStack() as stack:
            self._witness: Witness | None = None
            try:
                self._witness = stack.enter_context(witness())
                if self._witness.unwatched:
                    self.doubt(
                        f"what a shell looks at by itself cannot be seen: {self._witness.unwatched}"
                    )
            except (OSError, NodeError) as error:
                self.doubt(f"the kernel keeps no record of changes of rules: {error}")
            self._written = stack.enter_context(Written(file_systems))
            for place in self._written.refused:
                self.doubt(f"which files are written cannot be seen on {place}")
            self._generation = _generation()
            self._stack = stack.pop_all()

    def doubt(self, why: str) -> None:
        """Note why nothing is proved; once each."""
        if why not in self.doubts:
            self.doubts.append(why)

    def begin(self, lane: str) -> None:
        """A lane is about to step: what has changed until `settle` must be its doing."""
        self._lane = lane

    def let_go(self, command: Command) -> None:
        """A held process was let go."""
        self._steps[command.pid] = command
        if command.pid in self._owners.script:
            self._actors[command.pid] = self._owners.script[command.pid].actor

    def _whose(self, command: Command) -> str:
        if command.actor == KUBELET:
            return group("k")
        return self._actors.get(command.pid, SCRIPT_ACTOR)

    def settle(self) -> Settled:
        """The step is over: check who changed what, and say what it came to."""
        self._take_changes()
        self._lane = ""
        files = self._written.take(self._owners.ever)
        wrote, read = self._take_files(files)
        return Settled(wrote, read, self._take_looks(files.written))

    def take_changed(self) -> set[tuple[str, str]] | None:
        """The tables that changed since the last call, by family; None where all may have."""
        changed, self._changed = self._changed, set()
        return changed if self._witness is not None else None

    def lock(self) -> str:
        """Who holds the lock of iptables' legacy backend; empty for nobody."""
        try:
            inode = os.stat(LOCK).st_ino
        except FileNotFoundError:
            return ""
        with open("/proc/locks", encoding="ascii") as file:
            for line in file:
                # 1: FLOCK  ADVISORY  WRITE 812 00:19:1187 0 EOF
                words = line.split()
                if "->" not in words and words[5].rpartition(":")[2] == str(inode):
                    return self._owners.of(int(words[4]))
        return ""

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Proof:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take_changes(self) -> None:
        if self._witness is None:
            return
        now = _generation()
        records = self._witness.changes()
        # Each commit makes the next generation of its own network namespace, and is of one
        # process: one of ours that is accounted for is nobody else's.
        ours = set(range(self._generation + 1, now + 1))
        mine = {one.generation for one in records if self._is_step(one)}
        for change in records:
            if not self._is_step(change) and self._is_anothers(change, ours - mine):
                continue
            if self._changed is not None:
                self._changed.add((change.family, change.table))
            self._judge(change)
        if ours - {one.generation for one in records}:
            self.doubt("the kernel's rules changed, and its record does not say by whom")
        self._generation = now

    def _is_step(self, change: Change) -> bool:
        """Whether a change is of a process that was held, in the node's own namespace."""
        command = self._steps.get(change.pid)
        return command is not None and not command.foreign

    def _is_anothers(self, change: Change, unaccounted: set[int]) -> bool:
        """Whether a change was made in another network namespace than the node's own."""
        if change.generation is not None:
            return change.generation not in unaccounted
        if change.pid in self._steps:
            return True  # foreign: told when it was held
        with suppress(OSError):
            with open(f"/proc/{change.pid}/cmdline", "rb") as file:
                if not file.read():
                    return True  # a kernel thread, which takes a namespace down
            here = os.readlink("/proc/self/ns/net")
            return os.readlink(f"/proc/{change.pid}/ns/net") != here
        return False

    def _judge(self, change: Change) -> None:
        what = f"{change.family}/{change.table}"
        command = self._steps.get(change.pid)
        who = f"{change.program} (pid {change.pid})"
        if command is None:
            whose = self._owners.of(change.pid)
            unit = self._owners.unit(change.pid) or "a unit that is gone"
            if change.pid in self._owners.ever:
                self.doubt(f"{change.program} changed {what} by itself, unheld")
            elif whose == SUBJECT:
                self.doubt(f"{change.program} of kubelet changed {what} without being held")
            else:
                self.doubt(f"{who} in {unit} changed {what}: it is nobody's who was held")
            return
        turn = group(self._lane) if self._lane else ""
        mine = self._whose(command)
        if mine != turn:
            self.doubt(f"{command.program} changed {what} when it was not its turn")
        elif mine in LANES and not _is_known(command):
            self.doubt(
                f"{command.program} changed {what} by itself: how many steps it takes for that "
                "is not known, and it is held as a whole"
            )

    def _take_files(self, files: Files) -> tuple[str, bool]:
        mine = {
            path: own
            for path, pids in files.written.items()
            if (own := {pid for pid in pids & self._owners.ever if not self._is_daemon(pid)})
            and not path.startswith(NOT_FILES)
        }
        self._by_steps.update(
            path for path, pids in mine.items() if not all(map(self._by_itself, pids))
        )
        found = digest_files(sorted(mine))
        # What is gone again was seen by nobody: a temporary file has another name each time.
        kept = {
            path: said
            for path, said in found.items()
            if said != "absent" or path in self._known_files
        }
        self._known_files.update(kept)
        read = any(
            any(map(self._by_itself, files.read[path]))
            for path in self._by_steps & files.read.keys()
        )
        if not kept:
            return "", read
        return hashlib.sha256(repr(sorted(kept.items())).encode()).hexdigest()[:16], read

    def _take_looks(self, written: Mapping[str, set[int]]) -> tuple[str, ...]:
        """What shells were answered that looked by themselves where more than their own shows."""
        looks = [] if self._witness is None else self._witness.looks()
        mine = self._owners.ever
        said = {
            self._answer(look, written)
            for look in looks
            if look.pid in mine and self._by_itself(look.pid)
        }
        return tuple(sorted(said - {""}))

    def _answer(self, look: Look, written: Mapping[str, set[int]]) -> str:
        """A look with its answer; empty for one at what is the script's own."""
        mine = self._owners.ever
        if look.how == SIGNALS:
            return "" if int(look.at) in mine else f"a process: {look.answer}"
        if look.how == CONNECTS:
            if look.answer == 0:
                self.doubt(f"a shell talks to {look.at} by itself")
            return f"{look.at}: {look.answer}"
        place = place_of(look.at, mine)
        if not place or place == self._script or place in self._known_files:
            return ""
        if look.how == READS:
            self.doubt(f"a shell reads {place} by itself: what it read is not followed")
        # What stands there is looked at now, after the shell: it must be the same as it saw.
        if written.get(place, set()) - mine:
            self.doubt(f"{place} was written while a shell looked at it")
        now = _kind(look.at)
        if bool(now) == (look.answer < 0):
            self.doubt(f"{place} came or went while a shell looked at it")
        return f"{place}: {look.answer} {now}".rstrip()

    def _is_daemon(self, pid: int) -> bool:
        """Whether a process is a subject's own program: its files have numbers drawn by chance."""
        command = self._steps.get(pid)
        return command is not None and command.kind == DAEMON

    def _by_itself(self, pid: int) -> bool:
        """Whether what a process of the script's does is a shell's own doing, no step's."""
        command = self._steps.get(pid)
        return command is None or command.kind == "shell"


def _kind(path: str) -> str:
    """What stands at a path, as a shell's test tells it: `folder`, `file`, `empty file`."""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    if stat.S_ISDIR(found.st_mode):
        return "folder"
    if not stat.S_ISREG(found.st_mode):
        return "something else"
    return "file" if found.st_size else "empty file"


def _is_known(command: Command) -> bool:
    """Whether a program is one of the known ones, or a copy of one under another name."""
    if command.exe in KNOWN:
        return True
    mine = _digest(command.path)
    return mine != "" and any(
        mine == _digest(os.path.join(folder, name)) for folder in FOLDERS for name in KNOWN
    )


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return ""


def _generation() -> int:
    try:
        return generation()
    except OSError:
        return 0
