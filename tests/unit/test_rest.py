"""Whether a process goes on by itself: told by the system call that it sleeps in."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from chainrace.gate import rest
from chainrace.gate.descriptors import writes
from chainrace.gate.rest import Look

NULL = subprocess.DEVNULL


@pytest.fixture
def start() -> Iterator[Callable[..., int]]:
    """Start a program of Python's, wait until it sleeps, and return its pid."""
    with ExitStack() as stack:

        def begin(code: str, stdin: int = NULL, stdout: int = NULL, *, state: str = "S") -> int:
            child = subprocess.Popen(
                [sys.executable, "-ISc", code], stdin=stdin, stdout=stdout, close_fds=True
            )
            stack.callback(child.wait)
            stack.callback(child.kill)
            wait_for(child.pid, state)
            return child.pid

        yield begin


def wait_for(pid: int, state: str) -> None:
    """Until it is in this state twenty looks in a row: importing sleeps for moments, too."""
    same, deadline = 0, time.monotonic() + 10
    while same < 20:
        assert time.monotonic() < deadline
        now = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
        same = same + 1 if now == state else 0
        time.sleep(0.002)


def why(*pids: int, held: tuple[int, ...] = (), children: tuple[int, ...] = ()) -> str:
    return Look(held, ()).missing(pids, lambda _: children)


def test_one_that_computes_goes_on(start: Callable[..., int]) -> None:
    assert why(start("while True: pass", state="R")).endswith("runs")


def test_one_that_sleeps_for_a_time_goes_on(start: Callable[..., int]) -> None:
    assert why(start("import time; time.sleep(60)")).endswith("sleeps")


def by_turns(pid: int) -> tuple[str, list[int]]:
    look = Look((), (), {Path(f"/proc/{pid}/comm").read_text().strip()})
    return look.missing([pid], lambda _: ()), look.polls


def test_one_that_sleeps_by_turns_rests(start: Callable[..., int]) -> None:
    assert by_turns(start("import time\nwhile True: time.sleep(60)")) == ("", [])


def test_but_not_while_a_thread_of_it_runs(start: Callable[..., int]) -> None:
    code = "import threading, time\ndef busy():\n while True: pass\n"
    pid = start(code + "threading.Thread(target=busy).start()\ntime.sleep(60)")
    why, _ = by_turns(pid)
    assert why.endswith("runs")


def test_one_that_waits_for_a_child_waits_as_long_as_it_has_one(start: Callable[..., int]) -> None:
    waits = "import os, time\nif os.fork() == 0: time.sleep(60)\nos.wait()"
    pid = start(waits)
    children = tuple(
        int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    )
    assert why(pid, children=children) == ""
    assert why(pid).endswith("is about to go on")


def test_one_that_waits_for_a_disk_goes_on_whoever_is_held(
    start: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be in the same open(2) as one that waits for a fifo's other end."""
    os.mkfifo(tmp_path / "fifo")
    pid = start(f"open({str(tmp_path / 'fifo')!r})")
    assert why(pid, held=(1,)) == ""
    monkeypatch.setattr(rest, "_status", lambda *_: ("python", "D"))
    assert why(pid, held=(1,)) == "python waits for the disk"


def test_one_whose_child_has_ended_is_about_to_be_told(start: Callable[..., int]) -> None:
    """Its end may not have been heard of yet, but what it is waited for is over."""
    waits = "import os, time\nif os.fork() == 0: time.sleep(60)\nos.wait()"
    dead = start("", state="Z")
    assert why(start(waits), children=(dead,)).endswith("is about to go on")


def test_one_that_reads_an_empty_pipe_waits_where_another_may_write_to_it(
    start: Callable[..., int],
) -> None:
    reader, writer = os.pipe()
    waits = start("import os; os.read(0, 1)", reader)
    other = start("import signal; signal.pause()", stdout=writer, stdin=NULL)
    os.close(writer)
    try:
        assert why(waits, other, held=(other,)) == ""
        assert why(waits).endswith("reads")  # a stranger writes, or nobody
        pipe = str(Path(f"/proc/{waits}/fd/0").readlink())
        assert writes(other, pipe)
        assert not writes(waits, pipe)
    finally:
        os.close(reader)


def test_one_that_waits_for_a_lock_waits_only_while_another_is_held(
    start: Callable[..., int], tmp_path: Path
) -> None:
    path = tmp_path / "lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        pid = start(f"import fcntl; fcntl.flock(open({str(path)!r}), fcntl.LOCK_EX)")
        assert why(pid).endswith("waits to write, or for a lock")
        assert why(pid, held=(1,)) == ""


SERVES = "import socket; s = socket.socket(); s.bind(('', 0)); s.listen(); s.accept()"


@pytest.mark.parametrize("code", ["import select; select.poll().poll()", SERVES])
def test_one_that_polls_is_told_to_be_so_and_counts_as_waiting(
    start: Callable[..., int], code: str
) -> None:
    pid = start(code)
    look = Look((), ())
    assert look.missing([pid], lambda _: ()) == ""
    assert look.polls == [pid]


def test_one_in_a_call_that_is_not_known_goes_on(start: Callable[..., int]) -> None:
    waits_for_room = (
        "import socket, os\n"
        "name = f'\\0{os.getpid()}'\n"
        "ends = [socket.socket(socket.AF_UNIX) for _ in range(4)]\n"
        "ends[0].bind(name); ends[0].listen(0)\n"
        "[end.connect(name) for end in ends[1:]]"
    )
    assert why(start(waits_for_room)).endswith("is in system call 42")  # connect


def test_one_thread_that_goes_on_is_enough(start: Callable[..., int]) -> None:
    code = (
        "import threading, select, time\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "select.poll().poll()"
    )
    assert why(start(code)).endswith("sleeps")


VFORKS = (
    "import ctypes, threading, time\n"
    "threading.Thread(target=time.sleep, args=(60,)).start()\n"
    "libc = ctypes.PyDLL(None)\n"
    "libc.vfork() or libc.pause()"
)


def test_one_that_forks_waits_while_the_child_is_held_whatever_its_other_threads_do(
    start: Callable[..., int],
) -> None:
    """Go's runtime: its threads go on beside the one that waits in clone."""
    pid = start(VFORKS, state="D")
    (child,) = (int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    try:
        look = Look([child], ())
        assert look.missing([pid, child], lambda _: (child,)) == ""
        assert look.prints[pid] == "forks"
        assert not look.polls
        assert why(pid, children=(child,)).endswith("sleeps")  # nobody holds it
    finally:
        os.kill(child, signal.SIGKILL)


def test_those_that_are_held_or_stopped_by_the_gate_wait(start: Callable[..., int]) -> None:
    pid = start("while True: pass", state="R")
    assert Look([pid], ()).missing([pid], lambda _: ()) == ""
    assert Look((), [pid]).missing([pid], lambda _: ()) == ""


def test_one_that_is_gone_or_has_ended_does_nothing() -> None:
    assert why(2**22 + 1) == ""
    with subprocess.Popen(["true"], stdout=NULL) as child:
        wait_for(child.pid, "Z")
        assert why(child.pid) == ""


def test_another_sleep_has_another_print(start: Callable[..., int]) -> None:
    reader, writer = os.pipe()
    pid = start("import select, os\nwhile True: select.select([0], [], []), os.read(0, 1)", reader)
    prints = []
    for _ in range(2):
        look = Look((), ())
        look.missing([pid], lambda _: ())
        prints.append(look.prints)
        os.write(writer, b"x")
        time.sleep(0.05)
        wait_for(pid, "S")
    assert prints[0] != prints[1]
    for one in (reader, writer):
        os.close(one)
