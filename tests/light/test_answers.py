"""What a script's processes write, heard at a real gate: real shells, and this machine's kernel.

Only copies of programs are marked, in a folder of the test's own: nobody else is held.
"""

import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chainrace.gate.answers import UNKNOWN, Capture, Pipes
from chainrace.gate.fanotify import OpenGate, Opening
from chainrace.gate.process import waits_for_a_writer
from chainrace.gate.procevents import Ended, Forked, ProcessEvents
from chainrace.gate.rest import Look
from chainrace.gate.written import digest

SHELLS = ["dash", "bash"]
# Held at the gate, each copied under its own name.
PROGRAMS = ["cat", "seq", "head", "wc", "grep", "tee", "env", "yes", "sh", "bash"]
LIMIT = 30.0


@dataclass
class Step:
    """A held process that was let go, and its answer."""

    program: str
    input: str = ""
    output: str = ""
    code: int | None = None
    out: str | None = None


@dataclass
class Gated:
    """A script under a gate that lets one process go at a time, writers before readers."""

    folder: Path
    gate: OpenGate
    events: ProcessEvents
    printed: Path
    pipes: Pipes = field(default_factory=Pipes)
    mine: set[int] = field(default_factory=set)
    held: dict[int, Opening] = field(default_factory=dict)
    captures: dict[int, Capture] = field(default_factory=dict)
    running: dict[int, Step] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    stops: int = 0
    costs: list[float] = field(default_factory=list)
    overflown: set[str] = field(default_factory=set)
    over: list[tuple[Step, Capture]] = field(default_factory=list)

    def run(self, shell: str, text: str) -> tuple[int, str]:
        """Run it to its end; its code, and what it printed."""
        reader, writer = os.pipe()
        with (
            self.printed.open("wb") as printed,
            subprocess.Popen(
                [f"/bin/{shell}", "-c", f"read -r _; exec </dev/null; {text}"],
                cwd=self.folder.parent,
                stdin=reader,
                stdout=printed,
                stderr=printed,
                env={**os.environ, "PATH": f"{self.folder}:/usr/bin:/bin"},
                start_new_session=True,
            ) as child,
        ):
            os.close(reader)
            self.mine.add(child.pid)
            os.write(writer, b"go\n")
            os.close(writer)
            try:
                self._serve(child)
            finally:
                self.pipes.close()
                self.gate.release_all()
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
        return child.returncode, self.printed.read_text()

    def _serve(self, child: subprocess.Popen[bytes]) -> None:
        poll = select.poll()
        for source in (self.gate, self.events):
            poll.register(source.fileno(), select.POLLIN)
        deadline = time.monotonic() + LIMIT
        last: dict[int, str] | None = None
        while self.mine or self.over:
            assert time.monotonic() < deadline, (self.held, self.mine)
            if poll.poll(2):
                last = None
            self._hear()
            self._meet()
            child.poll()
            look = Look(self.held, self.pipes.stopped())
            if look.missing(self.mine, lambda _: {1}):
                last = None
            elif look.prints != last:
                last = look.prints
            else:
                last = None
                if not self._rest() and self.held:
                    self._step()

    def _hear(self) -> None:
        for event in self.events.events():
            if isinstance(event, Forked) and event.parent in self.mine:
                self.mine.add(event.child)
            elif isinstance(event, Ended) and event.pid in self.mine:
                self.mine.discard(event.pid)
                step = self.running.pop(event.pid, None)
                if step is not None:
                    step.code = event.code
                    capture = self.captures.pop(event.pid)
                    capture.ended()
                    self.over.append((step, capture))

    def _meet(self) -> None:
        """Hold whoever is at the gate, and let go who waits for a reader that may not read."""
        for opening in self.gate.openings():
            self._hear()
            # Not what the same execve(2) opens besides: the loader, an interpreter.
            if opening.pid in self.mine and program_of(opening).parent == self.folder:
                self.held[opening.pid] = opening
            else:
                self.gate.allow(opening)
        for capture in self.captures.values():
            if capture.full():
                self.overflown |= capture.links
                capture.give_up()

    def _rest(self) -> bool:
        """All has come to rest; whether readers go on."""
        started = time.perf_counter()
        goes_on = self.pipes.rest()
        self.costs.append(time.perf_counter() - started)
        for step, capture in self.over:
            step.out = capture.finish()
        self.over.clear()
        return goes_on

    def _step(self) -> None:
        ready = [
            pid
            for pid in sorted(self.held)
            if not waits_for_a_writer(pid, self.mine, self.overflown)
        ]
        # A coprocess waits for who waits for it.
        pid = (ready or sorted(self.held))[0]
        opening = self.held.pop(pid)
        if pid not in self.captures:
            self.captures[pid] = Capture(
                pid,
                lambda: self.mine,
                self.held.__contains__,
                self.pipes,
                {str(self.printed)},
            )
        capture = self.captures[pid]
        step = Step(program_of(opening).name, capture.input, capture.output)
        self.steps.append(step)
        self.running[pid] = step
        started = time.perf_counter()
        capture.begin()
        self.pipes.resume()
        self.costs.append(time.perf_counter() - started)
        self.stops += len(self.pipes.stopped())
        self.gate.allow(opening)


def program_of(opening: Opening) -> Path:
    return Path(f"/proc/self/fd/{opening.handle}").readlink()


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[Gated]:
    if os.geteuid() != 0:
        pytest.skip("permission events are for root alone")
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in PROGRAMS:
        shutil.copy(shutil.which(name) or name, folder / name)
    nothing = tmp_path / "nothing"
    nothing.touch()
    with (
        ProcessEvents(everything=True) as events,
        OpenGate(str(nothing), [str(folder / name) for name in PROGRAMS]) as gate,
    ):
        yield Gated(folder, gate, events, tmp_path / "printed")


def heard(*said: str, number: int = 1) -> str:
    """The answer of a process that has written this: a line each."""
    text = "".join(f"{line}\n" for line in said)
    return digest(f"{number}:{digest(text.encode())}".encode())


def ungated(folder: Path, shell: str, text: str) -> tuple[int, str]:
    """The same without a gate."""
    place, printed = folder / "apart", folder / "printed apart"
    place.mkdir()
    with printed.open("wb") as file:
        done = subprocess.run(
            [f"/bin/{shell}", "-c", text],
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            check=False,
        )
    return done.returncode, printed.read_text()


# Each with the answers of its processes, in the order of their steps.
READ: dict[str, tuple[str, list[str | None]]] = {
    "substitution": ("x=$(seq 2); echo [$x]", [heard("1", "2")]),
    "nested": (
        "x=$(cat $(echo /dev/null; seq 0) $(seq 0); seq 3); echo [$x]",
        [heard(), heard(), heard(), heard("1", "2", "3")],
    ),
    "an argument": ('x=$(env a=$(seq 2 | wc -l) seq 1); echo "$x"', [heard("1", "2"), heard("2")]),
    "pipeline": (
        "seq 5 | grep -v 3 | wc -l",
        [heard("1", "2", "3", "4", "5"), heard("1", "2", "4", "5"), ""],
    ),
    "substituted pipeline": (
        "x=$(seq 5 | grep 4); echo [$x]",
        [heard("1", "2", "3", "4", "5"), heard("4")],
    ),
    "loop": (
        "seq 2 | while read -r n; do seq $n | wc -l; done",
        [heard("1", "2"), heard("1"), "", heard("1", "2"), ""],
    ),
    "builtins": (
        "x=$(echo a; seq 1; echo b; seq 2; echo c); echo $x",
        [heard("1", "b"), heard("1", "2", "c")],  # with what the shell writes before it rests
    ),
    "here-document": ("cat <<E | wc -c\n$(seq 4)\nE", [heard("1", "2", "3", "4")] * 2),
    "in a here-document": (
        "x=$(cat <<E\na\n$(seq 2)\nE\n); echo $x",
        [heard("1", "2"), heard("a", "1", "2")],
    ),
    "large here-document": (f"cat <<E | wc -c\n{'a' * 9000}\nE", [heard("a" * 9000), ""]),
    "code": ("x=$(grep nothing /dev/null); echo $?[$x]", [heard()]),
    "errors": ("x=$(cat /nothing 2>&1); echo $?[$x]", [None]),
    "errors alone": ("x=$(cat /nothing 2>&1 >/dev/null); echo $?[$x]", [None]),
    "a shell": (
        "x=$(sh -c 'seq 2; echo; seq 1'); echo $x",
        [heard("1", "2", "", "1"), heard("1", "2", ""), heard("1")],
    ),
    "a shell's own": (
        "x=$(sh -c 'y=$(seq 2 | wc -l); echo $y; seq $y'); echo $x",
        [heard("2", "1", "2"), heard("1", "2"), heard("2"), heard("1", "2")],
    ),
    # The inner shell goes on and ends as soon as it has read: its own reader waits until then.
    "a shell that ends with what it read": (
        "x=$(sh -c 'y=$(seq 1); echo $y'); echo $x",
        [heard("1"), heard("1")],
    ),
    "three shells deep": (
        """x=$(sh -c 'y=$(sh -c "echo \\$(seq 1)"); echo $y'); echo $x""",
        [heard("1"), heard("1"), heard("1")],
    ),
    "exec twice": ("x=$(env env seq 2); echo $x", [None, None, heard("1", "2")]),
    "exec elsewhere": ("x=$(sh -c 'exec seq 2 >f'); cat f", [None, None, ""]),
    "background": ("x=$(seq 1 & seq 2; wait); echo $x | wc -w", [None, None]),
    "both in background": ("seq 2 | cat & seq 3 | wc -l >f & wait; echo $?", [None] * 4),
    "wait": ("seq 3 >/dev/null & wait $!; echo $?", [""]),
    "trap": ("trap 'echo bye' EXIT; x=$(seq 1); y=$(seq 2 | wc -l); echo $x $y", [heard("1")]),
    "trap of ends": ("trap 'echo one' CHLD; x=$(seq 1); echo $x", [heard("1")]),
    "read once": ("seq 3 | { read -r a; cat; }", [heard("1", "2", "3"), ""]),
    "leaves early": ("seq 9 | head -n 1", [None, ""]),
    "tee": ("seq 2 | tee /dev/null | wc -l", [heard("1", "2"), heard("1", "2"), ""]),
    "closed": ("seq 2 >&-; echo $?", [""]),
    "reads nothing": ("seq 3 | :; echo $?", [""]),
    "function": ("f() { seq 1; seq 2; }; x=$(f | wc -l); echo $x", [None] * 3),
    "descriptor": ("exec 4>&1; x=$(seq 2 | tee /dev/null | cat >&4); echo $x", [None, None, ""]),
    "file": ("seq 3 >f; cat <f", [heard("1", "2", "3"), ""]),
    "errors in the file": ("cat /nothing >f 2>&1; wc -l f", [None, ""]),
    "own pipe": ("mkfifo p; exec 3<>p; seq 2 >&3; read a <&3; read b <&3; echo $a $b", [None]),
    "alone in job control": ("set -m 2>/dev/null; x=$(seq 2); echo $? $x", [heard("1", "2")]),
}
OF_BASH: dict[str, tuple[str, list[str | None]]] = {
    "process substitution": ("while read n; do seq $n; done < <(seq 2)", [heard("1", "2"), "", ""]),
    "two of them": ("cat <(seq 1) <(seq 2) | wc -l", [None] * 4),
    "here-string": ("cat <<< $(seq 2)", [heard("1", "2"), ""]),
    "lastpipe": ("shopt -s lastpipe; seq 2 | while read n; do x=$n; done; echo $x", [None]),
    "pipefail": ("set -o pipefail; seq 3 | grep 9 | wc -l; echo $?", [None] * 3),
    "mapfile": ("mapfile -t a < <(seq 3); echo ${#a[@]}", [heard("1", "2", "3")]),
}
# What is not heard, and must not hang: the reader goes on at once, or as soon as the pipe is full.
UNHEARD = {
    "more than fits": "x=$(seq 400000); echo ${#x}",
    "more than fits, the reader held": "seq 400000 | wc -c",
    "without end": "yes | head -n 3; echo $?",
    "without end, read by the shell": "yes | { read x; echo $x; }",
    "trapped": "trap 'echo woken' CONT; x=$(seq 1); echo $x",
    "coprocess": (
        "coproc cat; echo a >&${COPROC[1]}; read x <&${COPROC[0]}; echo $x; "
        'eval "exec ${COPROC[1]}>&-"; wait; echo $?'
    ),
    "job control": "set -m; seq 2 | while read n; do echo $n; done; echo $?",
    "another user's shell": "seq 2 | su root -c 'while read n; do echo $n; done'; echo $?",
}


def same(gated: Gated, shell: str, text: str) -> None:
    """A script goes on as it does without the gate."""
    assert gated.run(shell, text) == ungated(gated.folder, shell, text)
    assert not gated.pipes.stopped()
    assert not gated.pipes.captures


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", READ)
def test_answers_are_heard(gated: Gated, shell: str, name: str) -> None:
    text, answers = READ[name]
    same(gated, shell, text)
    said = [step.out for step in gated.steps]
    assert UNKNOWN not in said
    assert all(hopes in (None, is_) for hopes, is_ in zip(answers, said, strict=False)), said


@pytest.mark.parametrize("name", OF_BASH)
def test_answers_are_heard_where_bash_has_more(gated: Gated, name: str) -> None:
    text, answers = OF_BASH[name]
    same(gated, "bash", text)
    said = [step.out for step in gated.steps]
    assert UNKNOWN not in said
    assert all(hopes in (None, is_) for hopes, is_ in zip(answers, said, strict=False)), said


@pytest.mark.parametrize("name", UNHEARD)
def test_what_is_not_heard_is_unknown_and_nobody_notices(gated: Gated, name: str) -> None:
    if "su root" in UNHEARD[name] and shutil.which("su") is None:
        pytest.skip("su is not installed on this machine")
    same(gated, "bash", UNHEARD[name])
    assert UNKNOWN in {step.out for step in gated.steps}


def test_kinds_are_told(gated: Gated) -> None:
    gated.run("dash", "seq 1 | cat >f; cat <f; x=$(cat </dev/null); y=$(cat /nothing 2>&1 >f)")
    kinds = [(step.program, step.input, step.output) for step in gated.steps]
    assert kinds == [
        ("seq", "", "pipe"),
        ("cat", "pipe", "file"),
        ("cat", "file", ""),
        ("cat", "", "pipe"),
        ("cat", "", "pipe"),
    ]
