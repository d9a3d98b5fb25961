"""The light node's own process: the real gate in a network and a mount namespace, no VM.

Run as `python -m tests.light.machine FOLDER`; it speaks as chainrace/gate does. In place of
systemd stands this file, in place of kubelet tests/light/subject.sh. Everything else is the
product's and the kernel's: the gate, its door, the witness, iptables.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, cast

from chainrace.gate.agent import Agent, Line, serve
from chainrace.gate.backends import in_use, legacy_tables
from chainrace.gate.process import SCRIPT_UNIT
from chainrace.gate.procevents import ProcessEvents
from chainrace.gate.rules import RESTORE, read
from chainrace.gate.shell import run
from chainrace.gate.witness import Witness
from chainrace.model.backends import Backend
from chainrace.model.services import SAVED_FILE
from chainrace.subjects.kubelet.words import BEYOND, FAILED, FAMILY_OF_PROTOCOL, INITIALISED

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
HERE = Path(__file__).parent
RCU = Path("/sys/kernel/rcu_expedited")
# A clone may lie in /tmp, which the node hides: its files are seen here.
SEEN_AT = Path("/mnt")
SUBJECT = SEEN_AT / "subject.sh"
# What a script may write, emptied before each start.
OWN = ("/run", "/etc/systemd", "/tmp")
# As systemd gives it to a unit: a developer's own programs are not the script's.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
RULES = """*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT DROP [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A OUTPUT -j ACCEPT
COMMIT
"""

_libc = ctypes.CDLL(None, use_errno=True)
_host = os.open("/proc/self/ns/net", os.O_RDONLY)


def _called(result: int, what: str) -> None:
    if result:
        raise OSError(ctypes.get_errno(), what)


@contextmanager
def on_the_host() -> Iterator[None]:
    """The connector and audit answer in the first network namespace alone."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    _called(_libc.setns(_host, CLONE_NEWNET), "setns")
    try:
        yield
    finally:
        _called(_libc.setns(here, CLONE_NEWNET), "setns")
        os.close(here)


class LightJournal:
    """The subject's words, from a pipe that its lines are written to."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.words: dict[str, str] = {}
        self.beyond = False
        self.path = "/run/subject.log"
        Path(self.path).unlink(missing_ok=True)
        os.mkfifo(self.path)
        self._pipe = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        return self._pipe

    def forget(self, _: int) -> None:
        self.words.clear()
        self.beyond = False

    def hear(self) -> None:
        with suppress(BlockingIOError):
            for line in os.read(self._pipe, 65536).decode().splitlines():
                self.lines.append(line)
                for pattern, word in ((INITIALISED, "initialised"), (FAILED, "failed")):
                    if found := pattern.search(line):
                        self.words.setdefault(FAMILY_OF_PROTOCOL[found[1]], word)
                self.beyond = self.beyond or BEYOND in line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._pipe)


class Light:
    """What systemd is on a node: starts the subject and the script, and ends them."""

    subject_unit = "kubelet.service"
    by_mount = True
    busy: frozenset[str] = frozenset({"-"})
    journal = LightJournal

    def __init__(self) -> None:
        self._roots: dict[str, subprocess.Popen[bytes]] = {}

    def unit_of(self, pid: int) -> str:
        """The unit by session, which an orphan keeps, or by descent: whose root is above."""
        roots = {root.pid: unit for unit, root in self._roots.items()}
        while pid > 1:
            if pid in roots:
                return roots[pid]
            try:
                stat = Path(f"/proc/{pid}/stat").read_text()
            except OSError:
                return ""
            # 812 (sh) S 1 700 700 ...
            parent, _, session = stat[stat.rindex(")") + 2 :].split()[1:4]
            if int(session) in roots:
                return roots[int(session)]
            pid = int(parent)
        return "-"

    @staticmethod
    def process_events() -> ProcessEvents:
        with on_the_host():
            return ProcessEvents(everything=True)

    @staticmethod
    def witness(shells: list[str]) -> Witness:
        with on_the_host():
            return Witness(shells)

    @staticmethod
    def before_subject(*, boot: bool) -> list[str]:
        del boot
        return []

    @staticmethod
    def jobs() -> dict[str, str]:
        return {}

    @staticmethod
    def held_back_by(unit: str) -> list[str]:
        del unit
        return []

    @staticmethod
    def is_behind(unit: str) -> bool:
        del unit
        return False

    @staticmethod
    def new_units() -> list[str]:
        return []

    @staticmethod
    def file_systems() -> list[str]:
        return ["/", *OWN]

    def begin_unit(self, _: str, unit: str) -> None:
        self._start(unit, str(SUBJECT), CHAINRACE_LOG="/run/subject.log")

    def begin_script(self, script: str) -> None:
        self._start(SCRIPT_UNIT, script)

    def _start(self, unit: str, program: str, **more: str) -> None:
        # The root is known before it executes anything: it waits for a word.
        reader, writer = os.pipe()
        root = subprocess.Popen(
            ["/bin/sh", "-c", 'read -r _ <&3; exec 3<&-; exec "$0"', program],
            env={**os.environ, "PATH": PATH, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: os.dup2(reader, 3) and None,  # noqa: PLW1509
            pass_fds=(3, reader),
            start_new_session=True,
        )
        self._roots[unit] = root
        os.close(reader)
        os.write(writer, b"go\n")
        os.close(writer)

    def subject_pid(self) -> int:
        root = self._roots.get(self.subject_unit)
        return 0 if root is None or root.poll() is not None else root.pid

    def subject_state(self) -> str:
        return "active" if self.subject_pid() else "failed"

    def end(self, pids: list[int]) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for root in self._roots.values():
            with suppress(ProcessLookupError):
                os.killpg(root.pid, signal.SIGKILL)
            root.wait()
        self._roots.clear()


def new_network() -> None:
    """A network namespace of its own, for what is begun from now on."""
    _called(_libc.unshare(CLONE_NEWNET), "unshare")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


class LightClean:
    """The state that every start is made from: the image's rules, nothing written."""

    def __init__(self) -> None:
        self.backend: Backend = in_use()
        self.restore()
        self.rules = read()

    def restore(self) -> None:
        for place in OWN:
            for entry in os.scandir(place):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    Path(entry.path).unlink()
        Path("/etc/systemd/scripts").mkdir()
        if any(legacy_tables(family) for family in RESTORE):
            # A table of the legacy backend goes with its network namespace alone.
            new_network()
        run(["nft", "flush", "ruleset"])
        for family, program in RESTORE.items():
            run([program], RULES)
            Path(SAVED_FILE[family]).write_text(RULES)

    def as_at_boot(self) -> None:
        self.restore()
        run(["nft", "flush", "ruleset"])


@contextmanager
def expedited() -> Iterator[None]:
    """Each change of rules waits for a grace period of RCU: have the kernel make it at once.

    Four times as many iptables processes a second (Documentation/admin-guide/kernel-parameters.txt
    of Linux, rcupdate.rcu_expedited). It is the whole machine's, and is put back.
    """
    try:
        before = RCU.read_text()
        RCU.write_text("1")
    except OSError:  # a container's machine does not let us
        yield
        return
    try:
        yield
    finally:
        RCU.write_text(before)


def main() -> None:
    """Serve on stdin and stdout."""
    _called(_libc.unshare(CLONE_NEWNS), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "--bind", str(HERE), str(SEEN_AT)], check=True)
    for place in OWN:
        Path(place).mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    new_network()
    line = Line(sys.stdin.fileno(), os.dup(sys.stdout.fileno()))
    os.dup2(2, 1)
    # In the places of CleanState and Systemd, which are the product's for a real node.
    agent = Agent(line.source, cast("Any", LightClean), cast("Any", Light))
    with expedited():
        try:
            serve(agent, line)
        finally:
            agent.release()


if __name__ == "__main__":
    main()
