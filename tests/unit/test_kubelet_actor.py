"""What kubelet has done, what it waits for, and whether it was started anew."""

from dataclasses import dataclass, field
from typing import cast

import pytest

from chainrace.gate.kubelet.actor import Kubelet, lane_of
from chainrace.gate.kubelet.journal import Journal
from chainrace.gate.process import Command
from chainrace.gate.shell import NodeError
from chainrace.model.actors import KUBELET

UNIT, PID = "kubelet.service", 50


@dataclass
class FakeMachine:
    pid: int = PID
    state: str = "active"
    queued: dict[str, str] = field(default_factory=dict)
    subject_unit: str = UNIT
    behind: bool = False

    def held_back_by(self, unit: str) -> list[str]:
        assert unit == UNIT
        return ["containerd.service"] if self.behind else []

    def is_behind(self, unit: str) -> bool:
        return bool(self.held_back_by(unit))

    def jobs(self) -> dict[str, str]:
        return self.queued

    def subject_pid(self) -> int:
        return self.pid

    def subject_state(self) -> str:
        return self.state


@dataclass
class FakeJournal:
    words: dict[str, str] = field(default_factory=dict)
    beyond: bool = False
    gone: list[int] = field(default_factory=list)

    def forget(self, pid: int) -> None:
        self.gone.append(pid)
        self.words.clear()
        self.beyond = False


def command(line: str, *, code: int | None = 0, started: float = 1.0) -> Command:
    program, *words = line.split()
    ended = None if code is None else started + 0.1
    return Command(7, KUBELET, program, words, started, ended, code)


HINT = "iptables -w 5 -N KUBE-IPTABLES-HINT -t mangle"
HINT6 = "ip6tables -w 5 -N KUBE-IPTABLES-HINT -t mangle"
CANARIES = [
    f"iptables -w 5 -N KUBE-KUBELET-CANARY -t {table}" for table in ("mangle", "nat", "filter")
]
NOBODY_WAITS = False


@dataclass
class Started:
    """A kubelet that has begun."""

    machine: FakeMachine = field(default_factory=FakeMachine)
    journal: FakeJournal = field(default_factory=FakeJournal)
    commands: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kubelet = Kubelet(self.machine, cast("Journal", self.journal), self.commands)
        self.kubelet.begun = True
        self.kubelet.pid = PID

    def missing(self, *held: str, others_wait: bool = NOBODY_WAITS) -> str:
        return self.kubelet.missing(
            [command(line) for line in held], others_wait=lambda: others_wait
        )


def test_before_it_begins_it_has_done_nothing_and_nothing_is_missing() -> None:
    one = Started()
    one.kubelet.begun = False
    assert not one.kubelet.done("k")
    assert one.missing() == ""


def test_a_lane_has_done_when_it_failed_or_all_its_canaries_are_made() -> None:
    one = Started()
    assert not one.kubelet.done("k")
    one.journal.words["ipv4"] = "failed"
    assert one.kubelet.done("k")
    assert not one.kubelet.done("x")
    one.journal.words["ipv4"] = "initialised"
    for line in CANARIES:
        assert not one.kubelet.done("k")
        one.commands.append(command(line))
    assert one.kubelet.done("k")


def test_a_canary_that_has_not_ended_or_was_refused_decides_it_too() -> None:
    one = Started()
    one.journal.words["ipv4"] = "initialised"
    one.commands.append(command(CANARIES[2], code=None))
    assert not one.kubelet.done("k")
    one.commands[:] = [command(CANARIES[0], code=4)]
    assert one.kubelet.done("k")


def test_a_family_that_it_says_nothing_of_is_done_when_it_goes_beyond() -> None:
    one = Started()
    one.journal.beyond = True
    assert one.kubelet.done("k")
    assert one.kubelet.done("x")


def test_its_lane_goes_by_the_programs_name() -> None:
    assert (lane_of(command(HINT)), lane_of(command(HINT6))) == ("k", "x")


def test_it_is_settled_when_it_waits_at_a_step_or_is_beyond() -> None:
    one = Started()
    assert one.missing() == "kubelet is on its way to its next step"
    assert one.missing(HINT) == ""
    assert one.missing(CANARIES[0]) == "kubelet is on its way to its next step"
    one.journal.beyond = True
    assert one.missing() == ""


def test_its_word_on_a_family_is_waited_for_before_it_counts_as_being_at_the_next() -> None:
    one = Started()
    one.commands.append(command(HINT))
    assert one.missing(HINT6) == "kubelet has not said its word on ipv4"
    one.journal.words["ipv4"] = "failed"
    assert one.missing(HINT6) == ""


def test_a_canary_that_is_due_is_waited_for() -> None:
    one = Started()
    one.journal.words["ipv4"] = "initialised"
    assert one.missing(HINT6) == "kubelet is on its way to its next ipv4 canary"
    assert one.missing(HINT6, CANARIES[0]) == ""
    one.commands += map(command, CANARIES)
    assert one.missing(HINT6) == ""


def test_the_family_that_comes_first_is_the_one_whose_chains_it_makes_first() -> None:
    one = Started()
    assert one.kubelet.first_family(()) is None
    one.commands.append(command("iptables --version"))
    assert one.kubelet.first_family(()) is None
    one.commands += [command(HINT6), command(HINT)]
    assert one.kubelet.first_family(()) == "ipv6"


def test_a_process_that_still_waits_tells_it_too() -> None:
    """What is seen of a start must not hang on whether its first chain is made by then."""
    one = Started()
    one.commands.append(command("iptables --version"))
    assert one.kubelet.first_family([command("ip6tables --version")]) is None
    assert one.kubelet.first_family([command(HINT6)]) == "ipv6"
    one.commands.append(command(HINT))
    assert one.kubelet.first_family([command(HINT6)]) == "ipv4"


def test_where_it_dropped_a_family_there_was_no_choice() -> None:
    one = Started()
    one.commands += [command("iptables -w 5 -S POSTROUTING -t nat", code=1), command(HINT6)]
    assert one.kubelet.first_family(()) is None


def test_a_kubelet_that_the_script_restarts_is_counted_and_begins_anew() -> None:
    one = Started()
    one.journal.words["ipv4"] = "failed"
    one.commands.append(command(HINT, started=3.0))
    one.machine.queued = {UNIT: "running"}
    assert one.kubelet.ended(PID, 0) == ""
    assert (one.kubelet.restarts, one.kubelet.stopped) == (1, False)
    assert one.journal.gone == [PID]
    assert one.kubelet.since_start() == []
    assert one.kubelet.replaced_at == 3.0
    assert not one.kubelet.done("k")
    assert one.kubelet.first_family(()) is None


def test_its_end_may_be_heard_of_when_the_next_runs_already() -> None:
    one = Started()
    one.machine.pid = PID + 1
    assert one.kubelet.is_replaced()
    assert one.kubelet.ended(PID, 0) == ""
    assert one.kubelet.restarts == 1
    assert one.missing(HINT) == ""
    assert one.kubelet.pid == PID + 1


def test_a_kubelet_that_the_script_stops_has_done_until_it_is_started_again() -> None:
    one = Started()
    one.machine.pid, one.machine.state = 0, "inactive"
    assert one.kubelet.ended(PID, 0) == ""
    assert one.kubelet.stopped
    assert one.kubelet.done("k")
    assert one.kubelet.done("x")
    assert one.missing() == ""
    one.machine.queued = {UNIT: "waiting"}
    assert one.missing() == "a job of it"
    one.machine.queued, one.machine.pid = {}, PID + 1
    assert one.missing(HINT) == ""
    assert (one.kubelet.restarts, one.kubelet.stopped) == (1, False)


def test_a_kubelet_that_fails_in_the_middle_is_no_step_of_the_scripts() -> None:
    one = Started()
    one.machine.pid, one.machine.state = 0, "failed"
    assert one.kubelet.ended(PID, 1) == "kubelet ended with 1 in the middle"


def test_the_end_of_another_process_is_none_of_its() -> None:
    one = Started()
    assert one.kubelet.ended(PID + 9, 1) == ""
    assert not one.kubelet.stopped


def test_until_its_process_is_there_it_is_waited_for() -> None:
    one = Started()
    one.kubelet.pid, one.machine.pid = None, 0
    assert one.missing() == "kubelet has not been started yet"
    one.machine.queued = {UNIT: "waiting"}
    assert one.missing(others_wait=True) == "kubelet has not been started yet"
    one.machine.behind = True
    assert one.missing() == "kubelet's start waits for a unit"
    assert one.missing(others_wait=True) == ""
    one.machine.queued, one.machine.behind, one.machine.pid = {}, False, PID
    assert one.missing(HINT) == ""
    assert one.kubelet.pid == PID
    assert one.kubelet.restarts == 0


def test_a_start_that_systemd_would_hold_back_now_is_another_step() -> None:
    one = Started()
    assert one.kubelet.start(jobs=True).arguments == ["begins"]
    one.machine.behind = True
    assert one.kubelet.start(jobs=True).arguments == ["begins", "behind", "containerd.service"]
    assert one.kubelet.start(jobs=False).arguments == ["begins"]


def test_one_that_fails_before_its_first_step_is_an_error() -> None:
    one = Started(FakeMachine(pid=0, state="failed"))
    one.kubelet.pid = None
    with pytest.raises(NodeError, match="ended before its first step"):
        one.missing()
