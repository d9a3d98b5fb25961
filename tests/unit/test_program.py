"""A subject's unit under the gate: when it has done, and whether it was started anew."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chainrace.gate.program import Program, program_of
from chainrace.gate.shell import run_command
from chainrace.gate.whose import Owners
from chainrace.model.protocol import Unit

UNIT = "guard.service"


@dataclass
class Machine:
    state: str = "inactive"
    number: str = ""
    queued: dict[str, str] = field(default_factory=dict)
    behind: bool = False

    def held_back_by(self, unit: str) -> list[str]:
        assert unit == UNIT
        return ["iptables.service"] if self.behind else []

    def jobs(self) -> dict[str, str]:
        return self.queued

    def is_behind(self, unit: str) -> bool:
        assert unit == UNIT
        return self.behind

    def new_units(self) -> list[str]:
        return []

    def begin_unit(self, entropy: str, unit: str) -> None: ...

    def unit_state(self, unit: str) -> str:
        assert unit == UNIT
        return self.state

    def invocation(self, unit: str) -> str:
        assert unit == UNIT
        return self.number


def program(
    machine: Machine,
    done: str = "",
    *,
    others_wait: bool = False,
    programs: Sequence[str] = (),
) -> Program:
    owners = Owners("", {"s.service": "s", UNIT: "d"}, lambda _: "", set(), set())
    about = Unit(name="guard", unit=UNIT, done=done, check="", programs=list(programs))
    found = program_of(
        about,
        "d",
        owners,
        {},
        machine,
        others=frozenset({"kubelet.service", "s.service"}),
        others_wait=lambda: others_wait,
    )
    found.begun = True
    return found


def settle(one: Program) -> str:
    """What is missing when nothing has moved between two looks."""
    one.missing()
    return one.missing()


@pytest.mark.parametrize("state", ["active", "inactive", "failed"])
def test_it_has_done_when_systemd_says_that_its_start_is_over(state: str) -> None:
    one = program(Machine(state))
    assert settle(one) == ""
    assert one.ended
    assert one.failed() is (state == "failed")


@pytest.mark.parametrize("state", ["activating", "deactivating", "reloading"])
def test_it_has_not_while_systemd_is_at_work_on_it(state: str) -> None:
    one = program(Machine(state))
    assert settle(one) == f"guard.service is {state}"
    assert not one.ended


def test_whether_its_start_is_over_is_asked_of_systemd_whatever_its_processes_do() -> None:
    """A daemon's threads wake up and sleep: for a settled one two looks in a row are alike."""
    one = program(Machine("active"))
    assert one.missing() == "the subject is looked at once more"
    assert program(Machine("active")).start_goes_on() == ""
    assert program(Machine("active"), "false").start_goes_on().endswith("as `false` says")
    assert program(Machine("activating")).start_goes_on() == "guard.service is activating"


def test_a_job_for_it_is_to_come() -> None:
    one = program(Machine("inactive", queued={UNIT: "running"}))
    assert settle(one) == "systemd has a job for guard.service"


@pytest.mark.parametrize(
    ("others_wait", "why"), [(True, ""), (False, "systemd has a job for guard.service")]
)
def test_a_job_that_waits_for_what_is_held_is_settled_but_not_done(
    why: str, *, others_wait: bool
) -> None:
    queued = {UNIT: "waiting", "iptables.service": "running"}
    one = program(Machine("inactive", queued=queued, behind=True), others_wait=others_wait)
    assert settle(one) == why
    assert not one.ended


def test_a_start_that_systemd_would_hold_back_now_is_another_step() -> None:
    """The same steps lead on to others where a job of another unit comes first."""
    assert program(Machine()).start().arguments == ["begins"]
    held_back = program(Machine(behind=True)).start()
    assert held_back.arguments == ["begins", "behind", "iptables.service"]


def test_a_job_that_waits_for_no_other_is_about_to_begin() -> None:
    queued = {UNIT: "waiting", "cron.service": "running"}
    one = program(Machine("inactive", queued=queued), others_wait=True)
    assert settle(one) == "systemd has a job for guard.service"


@pytest.mark.parametrize(("line", "ended"), [("true", True), ("exit 3", False)])
def test_the_users_own_command_must_say_so_too(line: str, *, ended: bool) -> None:
    one = program(Machine("active"), line)
    settle(one)
    assert one.ended is ended


def test_its_own_programs_may_sleep_by_turns_where_its_command_says_when_it_has_done() -> None:
    comm = Path("/proc/self/comm").read_text().strip()
    for done, programs, rests in (("true", [comm], True), ("", [comm], False), ("true", [], False)):
        one = program(Machine("active"), done, programs=programs)
        assert (comm in one.by_turns) is rests


def test_one_that_was_started_again_is_told() -> None:
    machine = Machine("active", "1")
    one = program(machine)
    settle(one)
    assert one.restarts == 0
    machine.number = "2"
    settle(one)
    assert one.restarts == 1


def test_a_command_that_does_not_end_is_no_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainrace.gate.shell.COMMAND_SECONDS", 0.2)
    assert run_command("sleep 5") != 0
    assert run_command("exit 0") == 0


def test_no_program_of_the_gates_is_started_by_a_call_that_waits_for_its_execution() -> None:
    """The gate's own thread must answer for it meanwhile: a check hung the whole node."""
    for switch in ("_USE_VFORK", "_USE_POSIX_SPAWN"):
        assert getattr(subprocess, switch) is False
