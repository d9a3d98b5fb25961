"""An actor, here a script: which of it waits, what it is answered, when it has ended."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from chainrace.gate import actor as actors
from chainrace.gate.actor import Answer, Held
from chainrace.gate.door import Waiting
from chainrace.gate.process import Command
from chainrace.gate.procevents import Ended, Forked
from chainrace.gate.script import Script
from chainrace.gate.whose import Owners
from chainrace.gate.written import digest

OWN = "chainrace-script.service"
MAIN = 5_000_100  # no such process is there
NULL = subprocess.DEVNULL


class Actor:
    """A script that has begun, as a process that is not there: it does nothing by itself."""

    def __init__(self) -> None:
        self.units = {MAIN: OWN}
        self.owners = Owners(
            "kubelet.service",
            {OWN: "s"},
            lambda pid: self.units.get(pid, ""),
            {"cron.service"},
            set(),
        )
        self.owners.at_work.add("s")
        self.owners.of(MAIN)
        self.held: dict[int, Held] = {}
        self.queued: dict[str, str] = {}
        self.left: list[str] = []
        self.script = Script(
            self.owners,
            self.held,
            path="/script",
            run=lambda _: None,
            new_units=lambda: self.left,
            jobs=lambda: self.queued,
            others=frozenset({"kubelet.service"}),
        )
        self.script.begun = True
        self.script.main_pid = MAIN

    def fork(self, pid: int, parent: int = MAIN) -> None:
        self.owners.feed(Forked(parent, pid))

    def hold(self, pid: int, program: str = "iptables", parent: int = MAIN) -> Held:
        if pid not in self.owners.script:
            self.fork(pid, parent)
        one = Held(Command(pid, "script", program, [], 0.0), cast("Waiting", None))
        self.held[pid] = one
        self.script.listen(one)
        return one

    def let_go(self, pid: int, step: int) -> None:
        del self.held[pid]
        self.script.let_go(pid, step, listen=True)

    def end(self, pid: int, code: int = 0) -> None:
        self.owners.feed(Ended(pid, code, 1.0))
        self.script.heard_end(pid, code)

    def settle(self) -> str:
        """What is missing once it was looked at twice."""
        why = self.script.missing()
        return self.script.missing() if why == "the script is looked at once more" else why


@pytest.fixture
def actor() -> Iterator[Actor]:
    made = Actor()
    yield made
    made.script.pipes.close()


def test_before_it_begins_and_after_its_end_nothing_is_missing(actor: Actor) -> None:
    actor.script.begun = False
    assert actor.script.missing() == ""
    actor.script.begun, actor.script.ended = True, True
    assert actor.script.missing() == ""


def test_until_its_own_program_is_executed_it_is_on_its_way(actor: Actor) -> None:
    actor.script.main_pid = None
    assert actor.script.missing() == "the script has not been started yet"


def test_it_is_looked_at_twice_before_it_counts_as_settled(actor: Actor) -> None:
    """What woke up in between has another print."""
    actor.hold(MAIN + 1)
    assert actor.script.missing() == "the script is looked at once more"
    assert actor.script.missing() == ""


def test_those_that_wait_at_once_are_lanes_in_the_order_of_their_forks(actor: Actor) -> None:
    for pid in (MAIN + 9, MAIN + 2, MAIN + 5):
        actor.fork(pid)
    for pid in (MAIN + 5, MAIN + 9):
        actor.hold(pid)
    actor.hold(MAIN + 1, parent=MAIN + 2)
    assert [one.command.pid for one in actor.script.ready()] == [MAIN + 9, MAIN + 1, MAIN + 5]


def test_ten_forks_come_before_the_eleventh(actor: Actor) -> None:
    pids = [MAIN + 50 - number for number in range(12)]
    for pid in pids:
        actor.hold(pid)
    assert [one.command.pid for one in actor.script.mine()] == pids


def test_of_what_is_held_only_the_scripts_own_counts(actor: Actor) -> None:
    actor.held[7] = Held(Command(7, "kubelet", "iptables", [], 0.0), cast("Waiting", None))
    assert actor.script.ready() == []


def test_an_answer_is_that_of_the_step_whose_process_ended(actor: Actor) -> None:
    actor.hold(MAIN + 1)
    actor.let_go(MAIN + 1, 4)
    actor.end(MAIN + 1, 3)
    actor.hold(MAIN + 2)
    assert actor.settle() == ""
    assert actor.script.take_answers() == [Answer(4, 3, "")]
    assert actor.script.take_answers() == []


def test_answers_of_several_stand_in_the_order_of_their_steps(actor: Actor) -> None:
    for number in (1, 2):
        actor.hold(MAIN + number)
        actor.let_go(MAIN + number, number)
    actor.end(MAIN + 2, 20)
    actor.end(MAIN + 1, 10)
    actor.hold(MAIN + 3)
    assert actor.settle() == ""
    assert [(one.step, one.code) for one in actor.script.take_answers()] == [(1, 10), (2, 20)]


def test_a_process_that_executes_another_program_answers_for_its_latest_step(
    actor: Actor,
) -> None:
    """`exec`: one process, two steps."""
    actor.hold(MAIN + 1)
    actor.let_go(MAIN + 1, 1)
    actor.hold(MAIN + 1)
    actor.let_go(MAIN + 1, 2)
    actor.end(MAIN + 1, 5)
    actor.hold(MAIN + 3)
    assert actor.settle() == ""
    assert [(one.step, one.code) for one in actor.script.take_answers()] == [(2, 5)]


def test_the_end_of_a_process_that_was_no_step_is_no_answer(actor: Actor) -> None:
    actor.fork(MAIN + 1)
    actor.end(MAIN + 1, 9)
    actor.hold(MAIN + 2)
    assert actor.settle() == ""
    assert actor.script.take_answers() == []


@pytest.mark.parametrize("into", ["a file", "nothing"])
def test_what_a_shell_of_the_scripts_reads_is_in_the_answer(
    actor: Actor, tmp_path: Path, into: str
) -> None:
    """Also where the shell writes to where the command's input comes from: /dev/null."""
    with ExitStack() as stack:
        shells = stack.enter_context((tmp_path / "out").open("w")) if into == "a file" else NULL
        reader, writer = os.pipe()

        def start(*words: str, **ends: Any) -> int:
            child = stack.enter_context(subprocess.Popen(words, **ends))
            stack.callback(child.kill)
            return child.pid

        shell = start("cat", stdin=reader, stdout=shells, stderr=shells)
        os.close(reader)
        ends = {"stdin": NULL, "stdout": writer, "stderr": NULL}
        child, later = (start("sleep", "60", **ends) for _ in range(2))
        actor.fork(shell)
        actor.hold(child)
        assert actor.script.output(actor.held[child]) == "pipe"
        # One that only another step reads tells the shell nothing.
        actor.hold(shell)
        assert actor.script.output(actor.held[child]) == "step"
        del actor.held[shell]
        actor.hold(later)
        actor.let_go(child, 1)
        os.write(writer, b"told")
        os.close(writer)
        os.kill(child, signal.SIGKILL)
        actor.end(child, 0)
        deadline = time.monotonic() + 5
        while actor.script.missing():
            assert time.monotonic() < deadline
        (answer,) = actor.script.take_answers()
        said = digest(b"told")
        assert answer == Answer(1, 0, digest(f"1:{said}".encode()))


def test_its_code_is_that_of_the_script_itself(actor: Actor) -> None:
    actor.fork(MAIN + 1)
    actor.end(MAIN + 1, 3)
    assert actor.script.code is None
    actor.end(MAIN, 127)
    assert actor.script.code == 127


def test_it_has_ended_when_all_that_followed_from_it_has(actor: Actor) -> None:
    actor.fork(MAIN + 1)
    actor.end(MAIN, 0)
    assert "the script has not ended" in actor.settle()
    actor.end(MAIN + 1, 0)
    actor.queued = {"iptables.service": "waiting"}
    assert actor.settle() == "systemd has a job for iptables.service"
    actor.queued, actor.left = {}, ["run-r1.timer"]
    assert actor.settle() == "run-r1.timer, which it started, goes on"
    assert not actor.script.ended
    actor.left = []
    assert actor.settle() == ""
    assert actor.script.ended
    assert not actor.owners.at_work


def test_kubelets_own_job_keeps_it_not_from_ending(actor: Actor) -> None:
    actor.end(MAIN, 0)
    actor.queued = {"kubelet.service": "waiting"}
    assert actor.settle() == ""
    assert actor.script.ended


def test_one_that_waits_for_nobody_who_is_held_is_not_settled(actor: Actor) -> None:
    actor.fork(MAIN + 1)
    assert "nothing of it is held" in actor.settle()


def polling(stack: ExitStack, *words: str) -> int:
    """A program that polls: systemctl, say, under that name."""
    child = stack.enter_context(subprocess.Popen(words, stdin=NULL, stdout=NULL))
    stack.callback(child.kill)
    deadline = time.monotonic() + 5
    call = Path(f"/proc/{child.pid}/syscall")
    # poll, select, pselect6, ppoll, epoll_wait, epoll_pwait
    while call.read_text().split()[0] not in ("7", "23", "270", "271", "232", "281"):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return child.pid


POLLS = "import select; select.poll().poll()"


def test_one_that_polls_is_waited_for_a_while(
    actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors, "QUIET_SECONDS", 0.05)
    with ExitStack() as stack:
        pid = polling(stack, "python3", "-ISc", POLLS)
        actor.fork(pid)
        actor.hold(MAIN + 9)
        deadline = time.monotonic() + 5
        said = set()
        while why := actor.script.missing():
            said.add(why)
            assert time.monotonic() < deadline
        assert any(one.endswith("may go on") for one in said)


def test_a_client_of_systemds_waits_for_its_job(
    actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors, "_names", lambda pids: ["systemctl" for _ in pids])
    with ExitStack() as stack:
        pid = polling(stack, "python3", "-ISc", POLLS)
        actor.fork(pid)
        actor.hold(MAIN + 9)
        actor.queued = {"iptables.service": "running"}
        assert actor.settle() == "systemd works on iptables.service"
        # One of its processes waits at the gate: so does the job.
        actor.units[MAIN + 20] = "iptables.service"
        assert actor.owners.of(MAIN + 20) == "script"
        assert actor.settle() == ""


@pytest.mark.parametrize(("unit", "works"), [(OWN, False), ("", False), ("iptables.service", True)])
def test_systemd_may_have_a_job_where_a_unit_that_it_began_is_at_work(
    actor: Actor, unit: str, *, works: bool
) -> None:
    actor.fork(MAIN + 1)
    actor.units[MAIN + 1] = unit
    assert actor.script.works_by_systemd() is works


def test_so_it_may_where_a_client_of_systemds_waits(
    actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors, "_names", lambda pids: ["systemctl"] * len(pids))
    assert actor.script.works_by_systemd()
