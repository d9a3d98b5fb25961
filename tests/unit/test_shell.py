"""Programs of the host: each comes to an end, with all that it has called."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chainrace.base.errors import LabError
from chainrace.host import shell
from chainrace.host.shell import run, tail

# It calls another program, says its number, and waits for it.
CALLS = "sleep 300 & echo $! >{file}; wait"


def is_gone(pid: int) -> bool:
    """Whether a process has ended; init may not have asked after it yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return stat.rpartition(") ")[2].startswith("Z")


def within(seconds: float, true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


def test_what_a_program_has_called_ends_with_it_when_its_time_is_over(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with pytest.raises(LabError, match="did not end within 1 s") as told:
        run(["sh", "-c", CALLS.format(file=file)], remedy="wait", timeout=1)
    assert told.value.remedy == "wait"
    assert within(5, lambda: is_gone(int(file.read_text())))


def test_what_asked_for_no_end_gets_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "END_SECONDS", 0.3)
    file = tmp_path / "pid"
    stubborn = f"trap '' TERM INT; {CALLS.format(file=file)}; while :; do sleep 1; done"
    begun = time.monotonic()
    with pytest.raises(LabError, match="did not end within 1 s"):
        run(["sh", "-c", stubborn], remedy="wait", timeout=1, log=tmp_path / "log")
    assert time.monotonic() - begun < 5
    assert within(5, lambda: is_gone(int(file.read_text())))


def test_a_program_can_put_things_right_before_it_ends(tmp_path: Path) -> None:
    done = tmp_path / "done"
    tidy = f"trap 'sleep 0.2; touch {done}' EXIT; trap 'exit 3' TERM; sleep 300 & wait"
    with pytest.raises(LabError, match="did not end"):
        run(["bash", "-c", tidy], remedy="wait", timeout=0.5)
    assert done.exists()


def test_ctrl_c_ends_what_was_called(tmp_path: Path) -> None:
    """As a terminal's would: it goes to the lab alone, for a program has a group of its own."""
    file = tmp_path / "pid"
    # Whatever started this may ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(["sh", "-c", CALLS.format(file=file)], remedy="wait", timeout=60)
    finally:
        signal.signal(signal.SIGINT, before)
    assert within(5, lambda: is_gone(int(file.read_text())))


def test_a_program_is_in_this_session_still_and_reads_nothing_of_ours() -> None:
    """sudo may know its user by the terminal; a background group must not read from it."""
    asks = "cut -d ' ' -f 5,6 /proc/$$/stat; cat; echo $$"  # proc(5): pgrp, session
    group, session, itself = map(int, run(["sh", "-c", asks], remedy="", timeout=9).split())
    assert session == os.getsid(0)
    assert group == itself != os.getpgrp()


def test_output_that_is_no_text_is_no_traceback() -> None:
    assert run(["printf", r"a\377b"], remedy="", timeout=9) == "a\ufffdb"


def test_what_has_left_the_group_is_not_waited_for(tmp_path: Path) -> None:
    """apt, a daemon: they hold what they were given, and go on."""
    file = tmp_path / "pid"
    apart = f"exec setsid --fork --wait sh -c 'echo $$ >{file}; exec sleep 300'"
    begun = time.monotonic()
    with pytest.raises(LabError, match="did not end"):
        run(["sh", "-c", apart], remedy="wait", timeout=1)
    assert time.monotonic() - begun < 5
    pid = int(file.read_text())
    assert not is_gone(pid)
    os.kill(pid, signal.SIGKILL)


def test_of_a_log_without_an_end_only_its_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        file.truncate(2**40)
        file.seek(2**40)
        file.write(b"\nlast but one\nlast\xff\n")
    assert tail(log, 2) == "last but one\nlast\ufffd"
    assert tail(tmp_path / "nowhere") == ""


def test_a_signal_for_who_has_ended_is_no_failure() -> None:
    child = subprocess.Popen(["true"], process_group=0)
    child.wait()
    shell.send([str(child.pid), f"-{child.pid}"], "TERM")
