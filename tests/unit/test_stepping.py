"""The gate's loop, with a made-up machine at the edge of the process: no root, no systemd."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import pytest

from chainrace.gate import arrivals, guard, shown
from chainrace.gate import stepping as gates
from chainrace.gate.clean import CleanState
from chainrace.gate.door import Waiting
from chainrace.gate.fanotify import Opening
from chainrace.gate.process import Command
from chainrace.gate.procevents import Ended, Event, Executed, Forked
from chainrace.gate.proof import Settled
from chainrace.gate.shell import NodeError
from chainrace.gate.stepping import Stepping
from chainrace.gate.systemd import Systemd
from chainrace.gate.whose import Owners
from chainrace.model.actors import KUBELET
from chainrace.model.protocol import (
    Arm,
    EachSeen,
    Stepped,
    Turn,
    View,
    Walk,
    Watched,
    Words,
)

OWN, SUBJECT, GUARD = "chainrace-script.service", "kubelet.service", "guard.service"
FIRST = 5_000_000  # no such processes are there
KUBELET_PID = FIRST + 1

HINT, HINT6 = (f"{name} -w 5 -N KUBE-IPTABLES-HINT -t mangle" for name in ("iptables", "ip6tables"))


def canaries(name: str) -> list[str]:
    return [
        f"{name} -w 5 -N KUBE-KUBELET-CANARY -t {table}" for table in ("mangle", "nat", "filter")
    ]


# kubelet's work: a command, or its word on a family.
WORK: list[str | tuple[str, str]] = [
    HINT,
    ("ipv4", "initialised"),
    HINT6,
    ("ipv6", "initialised"),
]


@dataclass
class Shell:
    """A process of the script's that runs commands one after the other; some in the background."""

    pid: int
    todo: deque[Any]
    code: int = 0


@dataclass
class Journal:
    words: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    beyond: bool = False

    def __post_init__(self) -> None:
        self._ends = os.pipe()

    def fileno(self) -> int:
        return self._ends[0]

    def hear(self) -> None: ...

    def forget(self, pid: int) -> None:
        del pid
        self.words.clear()
        self.beyond = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._ends:
            os.close(end)


class Machine:
    """The node: what happens is put into `coming`, which the door takes."""

    subject_unit, by_mount = SUBJECT, False

    def __init__(self, work: list[str | tuple[str, str]], lines: list[Any]) -> None:
        self.work, self.lines = deque(work), lines
        self.busy = {"cron.service"}
        self.units: dict[int, str] = {}
        self.words: dict[int, str] = {}
        self.coming: deque[Event | tuple[int, str, bool]] = deque()
        self.journal_now = Journal()
        self.numbers = iter(range(FIRST + 100, FIRST + 10_000))
        self.pid, self.state = 0, "inactive"
        self.queued: dict[str, str] = {}
        self.left: list[str] = []
        self.program: list[Any] = []  # what a subject that is not kubelet runs
        self.behind: list[str] = []
        self.ended: list[int] | None = None
        self.entropy = ""
        self.asleep: set[str] = set()  # commands that do not end
        self.codes: dict[str, int] = {}
        self.shells: dict[int, Shell] = {}  # child -> whose
        self.due: dict[str, deque[str]] = {}  # canaries by program, which come beside other work
        self.dead: set[int] = set()
        self.pids = iter(range(KUBELET_PID, FIRST + 100))

    # What the gate asks.

    def before_subject(self, *, boot: bool) -> list[str]:
        del boot
        return self.behind

    def process_events(self) -> "Machine":
        return self

    def journal(self) -> Journal:
        return self.journal_now

    def witness(self, shells: list[str]) -> None: ...

    def file_systems(self) -> list[str]:
        return ["/"]

    def unit_of(self, pid: int) -> str:
        return self.units.get(pid, "")

    def jobs(self) -> dict[str, str]:
        return self.queued

    def held_back_by(self, unit: str) -> list[str]:
        return sorted(self.queued.keys() - {unit})

    def is_behind(self, unit: str) -> bool:
        return self.queued.get(unit) == "waiting"

    def new_units(self) -> list[str]:
        return self.left

    def subject_pid(self) -> int:
        return self.pid

    def subject_state(self) -> str:
        return self.state

    def begin_unit(self, entropy: str, unit: str) -> None:
        self.entropy = entropy
        if unit == SUBJECT:
            self.start_subject()
            return
        shell = Shell(next(self.numbers), deque(self.program))
        self.units[shell.pid], self.words[shell.pid] = unit, "guard.sh"
        self.state = "activating"
        self.coming.append((shell.pid, "/usr/sbin/guard.sh", True))
        self.shells[shell.pid] = shell

    def unit_state(self, unit: str) -> str:
        assert unit == GUARD
        return self.state

    def invocation(self, unit: str) -> str:
        assert unit == GUARD
        return "1"

    def begin_script(self, path: str) -> None:
        shell = Shell(next(self.numbers), deque(self.lines))
        self.units[shell.pid] = OWN
        self.words[shell.pid] = path
        self.coming.append((shell.pid, path, True))
        self.shells[shell.pid] = shell

    def end(self, pids: list[int]) -> None:
        self.ended = pids

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    # What happens by itself.

    def start_subject(self) -> None:
        self.pid, self.state = next(self.pids), "active"
        self.units[self.pid] = SUBJECT
        self.go_on()

    def go_on(self) -> None:
        """kubelet's next work, and a canary that is due."""
        while self.work and isinstance(self.work[0], tuple):
            family, word = cast("tuple[str, str]", self.work.popleft())
            self.journal_now.words[family] = word
            if word == "initialised":
                name = "iptables" if family == "ipv4" else "ip6tables"
                self.due[name] = deque(canaries(name))
                self.next_canary(name)
        if self.work:
            self.opens(cast("str", self.work.popleft()))
        else:
            self.journal_now.beyond = True

    def next_canary(self, name: str) -> None:
        if self.due[name]:
            self.opens(self.due[name].popleft())

    def kill(self, pid: int, code: int = -15) -> None:
        self.dead.add(pid)
        self.coming.append(Ended(pid, code, 1.0))

    def pid_of(self, line: str) -> int:
        """The latest process that runs this."""
        return max(pid for pid, words in self.words.items() if words == line)

    def opens(self, line: str) -> int:
        pid = next(self.numbers)
        self.units[pid], self.words[pid] = SUBJECT, line
        self.coming.append((pid, "/lib/libxtables.so.12", False))
        return pid

    def passed(self, pid: int) -> None:
        """A process goes on from the door."""
        if pid in self.dead:
            return
        line = self.words[pid]
        if pid in self.shells and self.shells[pid].pid == pid:
            self.coming.append(Executed(pid))
            self.run(self.shells[pid])
            return
        if self.units.get(pid) != SUBJECT:
            self.coming.append(Executed(pid))
        if line in self.asleep:
            return
        self.finish(pid)

    def finish(self, pid: int) -> None:
        line = self.words[pid]
        self.coming.append(Ended(pid, self.codes.get(line, 0), 1.0))
        if self.units.get(pid) == SUBJECT:
            if "CANARY" in line:
                self.next_canary(line.split()[0])
            else:
                self.go_on()
        elif pid in self.shells:
            self.run(self.shells[pid])

    def run(self, shell: Shell) -> None:
        """A shell's next: a command, `("in the background", [...])`, `("do", act)`."""
        while shell.todo:
            wanted = shell.todo.popleft()
            if isinstance(wanted, tuple) and wanted[0] == "do":
                wanted[1](self)
                continue
            if isinstance(wanted, tuple) and wanted[0] == "exits":
                shell.code = wanted[1]
                continue
            pid = next(self.numbers)
            self.units[pid] = self.units[shell.pid]
            self.coming.append(Forked(shell.pid, pid))
            if isinstance(wanted, tuple):
                self.shells[pid] = Shell(pid, deque(wanted[1]))
                self.run(self.shells[pid])
                continue
            self.words[pid] = wanted
            self.shells[pid] = shell
            self.coming.append((pid, f"/usr/bin/{wanted.split()[0]}", True))
            return
        self.coming.append(Ended(shell.pid, shell.code, 1.0))
        if self.units[shell.pid] == GUARD and self.shells.get(shell.pid) is shell:
            self.state = "failed" if shell.code else "active"


class FakeDoor:
    """Holds the script's programs at their execve, the subject's at the library."""

    def __init__(self, owners: Owners, machine: Machine, *_: object, by_mount: bool) -> None:
        assert not by_mount
        self.owners, self.machine = owners, machine
        self.passed: list[str] = []
        self.free: Callable[[Waiting], bool] = lambda _: False
        self._ends = os.pipe()

    def fileno(self) -> int:
        return self._ends[0]

    def let_pass(self, free: Callable[[Waiting], bool]) -> None:
        self.free = free

    def take(self) -> tuple[list[Waiting], list[Event]]:
        came: list[Waiting] = []
        heard: list[Event] = []
        while self.machine.coming:
            one = self.machine.coming.popleft()
            if isinstance(one, (Forked, Executed, Ended)):
                self.owners.feed(one)
                heard.append(one)
                continue
            pid, path, in_exec = one
            waiting = Waiting(pid, self.owners.of(pid), Opening(pid, -1, in_exec), path)
            if in_exec and self.free(waiting):
                self.machine.passed(pid)
            else:
                came.append(waiting)
        return came, heard

    def allow(self, waiting: Waiting) -> None:
        self.machine.passed(waiting.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._ends:
            os.close(end)


class FakeProof:
    """Notes what it is told of each step; says what the test wants."""

    made: ClassVar["list[FakeProof]"] = []

    def __init__(self, *_: object) -> None:
        self.doubts: list[str] = []
        self.steps: list[tuple[str, list[str]]] = []
        self.settled = 0
        FakeProof.made[:] = [self]

    def doubt(self, why: str) -> None:
        self.doubts.append(why)

    def begin(self, lane: str) -> None:
        self.steps.append((lane, []))

    def let_go(self, command: Command) -> None:
        self.steps[-1][1].append(" ".join((command.program, *command.arguments)))

    def settle(self) -> Settled:
        self.settled += 1
        return Settled(f"wrote {self.settled}")

    def take_changed(self) -> set[tuple[str, str]]:
        return {("ipv4", "filter")}

    def lock(self) -> str:
        return "script"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


class FakeWorld:
    def __init__(self, backend: str, pump: object, poll: object) -> None:
        del backend, pump, poll

    def parts(self, changed: object) -> dict[str, str]:
        return {"ipv4": f"{changed}", "ipv6": ""}


@dataclass
class Clean:
    """Notes what was asked of the clean state."""

    backend: str = "nft"
    asked: list[str] = field(default_factory=list)

    def restore(self) -> None:
        self.asked.append("restore")

    def as_at_boot(self) -> None:
        self.asked.append("as at boot")


Gate = Callable[..., tuple[Stepping, Machine]]


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Gate]:
    """Arms a gate on a made-up machine whose script runs these lines."""
    path = tmp_path / "script"
    path.write_text("#!/bin/sh\n")
    machines: list[Machine] = []
    opened: list[Stepping] = []

    def described(pid: int, now: float, **_: object) -> Command:
        program, *words = machines[-1].words[pid].split()
        return Command(pid, "other", program, words, now)

    def held(pid: int, now: float, path: str, interpreter: str, actor: str) -> Command:
        del path, interpreter
        program, *words = machines[-1].words[pid].split()
        kind = "shell" if program == "sh" else ""
        return Command(pid, actor, program, words, now, kind=kind)

    monkeypatch.setattr(gates, "Door", FakeDoor)
    monkeypatch.setattr(gates, "Proof", FakeProof)
    monkeypatch.setattr(gates, "World", FakeWorld)
    monkeypatch.setattr(gates, "library", lambda: "libxtables")
    monkeypatch.setattr(gates, "without_library", list)
    monkeypatch.setattr(shown, "meanings", lambda: ["xtables-nft-multi"])
    monkeypatch.setattr(arrivals, "describe", described)
    monkeypatch.setattr(arrivals, "held_in_exec", held)
    monkeypatch.setattr(guard, "reached", lambda _: [61321])

    def arm(
        *lines: Any,
        lazy: tuple[str, ...] = (),
        work: list[str | tuple[str, str]] = WORK,
        begun: bool = True,
        change: Callable[[Machine], None] = lambda _: None,
        **more: Any,
    ) -> tuple[Stepping, Machine]:
        machine = Machine(work, list(lines))
        change(machine)
        machines.append(machine)
        about: dict[str, Any] = {"boot": False, "fresh": True, "limit": 0.4, **more}
        clean, line = about.pop("clean", Clean()), about.pop("line", None)
        asked = Arm(str(path) if begun else None, list(lazy), **about)
        opened.append(
            Stepping(cast("CleanState", clean), asked, machine=cast("Systemd", machine), line=line)
        )
        return opened[-1], machine

    yield arm
    for one in opened:
        with suppress(OSError):
            one.close()


def walk(one: Stepping, *turns: Turn, seconds: float | None = None) -> list[str]:
    asked = Walk(list(turns), "ab", seconds, rules_too=False, evidence=False, places=False)
    return one.walk(asked)["made"]


def view(one: Stepping, *, places: bool = False, rules: bool = False) -> View:
    return one.walk(Walk([], "ab", None, rules_too=rules, evidence=rules, places=places))


def lines(one: Stepping) -> list[tuple[str, str]]:
    """Each step as it was made: its lane and its command."""
    return [
        (made["lane"], " ".join((made["program"], *made["arguments"])))
        for made in view(one)["commands"]
    ]


# Starts.


def test_before_anything_begins_both_wait_to_begin(gate: Gate) -> None:
    one, machine = gate("iptables -F")
    seen = view(one)
    assert {lane: made["arguments"] for lane, made in seen["next"].items()} == {
        "k": ["begins"],
        "s": ["begins"],
    }
    assert seen["done"] == {"k": False, "x": False, "s": False}
    assert seen["commands"] == []
    assert machine.pid == 0
    assert seen["next"]["s"]["kind"] == "shell"


@pytest.mark.parametrize("order", [("k", "s"), ("s", "k")])
def test_the_two_begin_in_either_order(gate: Gate, order: tuple[str, str]) -> None:
    one, machine = gate("iptables -F")
    first, second = order
    assert walk(one, (first, 1)) == [first]
    assert (machine.pid == 0) is (first == "s")
    assert view(one)["next"][second]["arguments"] == ["begins"]
    assert walk(one, (second, 1)) == [second]
    seen = view(one)
    begins = {"k": ("k", "kubelet begins"), "s": ("s", "script begins")}
    assert lines(one) == [begins[lane] for lane in order]
    assert seen["next"]["k"]["arguments"] == HINT.split()[1:]
    assert seen["next"]["s"]["program"] == "iptables"
    assert machine.entropy == "ab"


def test_kubelet_may_begin_in_the_middle_of_the_script_and_after_it(gate: Gate) -> None:
    for at in range(5):
        one, _ = gate("iptables -F", "iptables -X", "iptables -S")
        assert walk(one, ("s", at), ("k", 1), ("s", None)) == ["s"] * at + ["k"] + ["s"] * (4 - at)
        assert view(one)["done"] == {"k": False, "x": False, "s": True}


def test_without_a_script_kubelet_is_alone(gate: Gate) -> None:
    one, _ = gate(begun=False)
    assert view(one)["next"].keys() == {"k"}
    assert walk(one, ("k", None), ("x", None), ("s", None)) == list("kkkkkxxxx")
    assert view(one)["done"] == {"k": True, "x": True, "s": True}


@pytest.mark.parametrize(
    ("boot", "fresh", "asked"),
    [(False, True, []), (False, False, ["restore"]), (True, False, ["as at boot"])],
)
def test_the_node_is_brought_to_its_clean_state_where_it_is_not_in_it(
    gate: Gate, asked: list[str], *, boot: bool, fresh: bool
) -> None:
    clean = Clean()
    gate("iptables -F", clean=clean, boot=boot, fresh=fresh)
    assert clean.asked == asked


def test_a_kubelet_that_is_ordered_behind_the_script_begins_when_that_lets_it(gate: Gate) -> None:
    one, _ = gate("iptables -F", change=lambda node: node.behind.append(OWN))
    assert view(one)["next"].keys() == {"s"}
    with pytest.raises(NodeError, match="k cannot go on before another actor has"):
        walk(one, ("k", 1))
    walk(one, ("s", None))
    seen = view(one)
    assert seen["done"]["s"]
    assert seen["next"]["k"]["arguments"] == HINT.split()[1:]
    assert lines(one) == [("s", "script begins"), ("s", "iptables -F"), ("k", "kubelet begins")]
    assert [one["answers"] for one in seen["commands"]][-1] == []
    before = view(one, places=True)["commands"][-1]["before"]
    assert before is not None
    assert before["done"]["s"]


def test_one_that_systemd_asks_for_meanwhile_begins_before_the_script_has_ended(
    gate: Gate,
) -> None:
    def queues(node: Machine) -> None:
        node.queued[OWN] = "waiting"

    one, _ = gate(
        ("do", queues),
        "iptables -F",
        "iptables -X",
        change=lambda node: node.behind.append(OWN),
    )
    walk(one, ("s", 1))
    assert ("k", "kubelet begins") in lines(one)
    assert not view(one)["done"]["s"]


def test_one_that_waits_for_another_unit_does_not_begin_for_it(gate: Gate) -> None:
    def queues(node: Machine) -> None:
        node.queued["other.service"] = "waiting"

    one, _ = gate(
        ("do", queues), "iptables -F", "iptables -X", change=lambda node: node.behind.append(OWN)
    )
    walk(one, ("s", 1))
    assert ("k", "kubelet begins") not in lines(one)


# Lanes.


def test_each_lane_of_kubelets_steps_for_its_family(gate: Gate) -> None:
    one, _ = gate("iptables -F")
    walk(one, ("k", 2))
    assert view(one)["next"].keys() == {"k", "x", "s"}
    walk(one, ("x", 1), ("k", 1), ("x", 1))
    assert [lane for lane, _ in lines(one)] == list("kkxkx")
    assert lines(one)[2] == ("x", HINT6)


def test_a_lane_that_has_to_be_first_steps_where_the_other_is_told_to(gate: Gate) -> None:
    one, _ = gate("iptables -F")
    assert walk(one, ("x", 1)) == ["k", "k", "x"]


def test_a_lazy_lane_waits_until_it_is_told_to(gate: Gate) -> None:
    one, _ = gate("iptables -F", lazy=("x",))
    assert walk(one, ("k", None), ("s", None)) == list("kkkkkss")
    seen = view(one)
    assert seen["done"] == {"k": True, "x": False, "s": True}
    assert "x" in seen["next"]
    assert walk(one, ("x", None)) == ["x"] * 4


def test_where_the_other_needs_it_it_steps_along_and_is_no_step_of_the_path(gate: Gate) -> None:
    """Its steps are in the view, each with a lane and no answers."""
    work = [HINT6, ("ipv6", "initialised"), HINT, ("ipv4", "initialised")]
    one, _ = gate("iptables -F", lazy=("x",), work=work)
    assert walk(one, ("k", 2)) == ["k", "k"]
    assert [lane for lane, _ in lines(one)] == ["k", "x", "k"]
    assert all(made["answers"] == [] for made in view(one)["commands"])
    assert view(one)["first_family"] == "ipv6"


def test_processes_that_wait_at_once_are_lanes_in_the_order_of_their_forks(gate: Gate) -> None:
    one, _ = gate(
        ("in the background", ["sleep 1", "sleep 2"]),
        ("in the background", ["sleep 3"]),
        "sleep 4",
    )
    walk(one, ("s", 1))
    following = view(one)["next"]
    assert [following[lane]["arguments"] for lane in "stu"] == [["1"], ["3"], ["4"]]
    walk(one, ("t", 1))
    assert [view(one)["next"][lane]["arguments"] for lane in "st"] == [["1"], ["4"]]
    walk(one, ("t", 1), ("s", None))
    assert lines(one)[1:] == [
        ("t", "sleep 3"),
        ("t", "sleep 4"),
        ("s", "sleep 1"),
        ("s", "sleep 2"),
    ]
    assert view(one)["done"]["s"]


def test_a_lane_that_is_not_there_makes_no_steps_and_one_that_cannot_step_is_refused(
    gate: Gate,
) -> None:
    one, _ = gate("iptables -F")
    assert walk(one, ("t", 3)) == []
    walk(one, ("s", None))
    assert walk(one, ("s", 3)) == []


def test_what_a_unit_does_that_the_script_starts_is_the_scripts(gate: Gate) -> None:
    def starts(node: Machine) -> None:
        pid = next(node.numbers)
        node.units[pid], node.words[pid] = "iptables.service", "iptables-restore"
        node.coming.append((pid, "/usr/sbin/iptables-restore", True))

    one, _ = gate(("do", starts), "iptables -F")
    walk(one, ("s", 1))
    seen = view(one)
    assert [seen["next"][lane]["program"] for lane in "st"] == ["iptables", "iptables-restore"]
    assert [seen["next"][lane]["actor"] for lane in "st"] == ["script", "iptables"]


# Answers.


def test_each_answer_stands_with_the_step_that_it_came_with(gate: Gate) -> None:
    one, machine = gate("iptables -C A", "iptables -F")
    machine.codes = {"iptables -C A": 1}
    walk(one, ("s", 3))
    made = view(one)["commands"]
    assert [one["answers"] for one in made] == [
        [],
        [{"step": 1, "code": 1, "out": ""}],
        [{"step": 2, "code": 0, "out": ""}],
    ]
    assert [one["wrote"] for one in made] == ["wrote 1", "wrote 2", "wrote 3"]


def test_one_that_ends_later_answers_then_and_names_its_own_step(gate: Gate) -> None:
    one, machine = gate(("in the background", ["sleep 9"]), "iptables -F", "iptables -X")
    machine.asleep = {"sleep 9"}
    walk(one, ("s", 2))
    made = view(one)["commands"]
    assert made[1]["arguments"] == ["9"]
    assert made[1]["answers"] == []
    machine.finish(machine.pid_of("sleep 9"))
    walk(one, ("s", 1))
    assert view(one)["commands"][2]["answers"] == [
        {"step": 1, "code": 0, "out": ""},
        {"step": 2, "code": 0, "out": ""},
    ]


def test_a_step_of_kubelets_that_lets_the_script_go_on_has_its_answer(gate: Gate) -> None:
    one, machine = gate(("in the background", ["sleep 9"]), "iptables -F")
    machine.asleep = {"sleep 9"}
    walk(one, ("s", 2), ("k", 1))
    machine.finish(machine.pid_of("sleep 9"))
    walk(one, ("k", 1))
    made = view(one)["commands"][-1]
    assert made["lane"] == "k"
    assert made["answers"] == [{"step": 1, "code": 0, "out": ""}]
    assert made["code"] == 0


def test_an_answer_counts_in_all_steps_of_both(gate: Gate) -> None:
    one, _ = gate("iptables -F")
    walk(one, ("k", 2), ("s", 2))
    assert view(one)["commands"][3]["answers"] == [{"step": 3, "code": 0, "out": ""}]


def test_the_scripts_code_is_its_own(gate: Gate) -> None:
    one, machine = gate("iptables -F", ("exits", 7))
    machine.codes = {"iptables -F": 4}
    walk(one, ("s", None))
    assert view(one)["script_code"] == 7


# What is shown.


def test_what_is_shown_has_the_types_of_the_protocol(gate: Gate) -> None:
    one, _ = gate("iptables -F")
    asked = Walk([("k", None)], "ab", None, rules_too=True, evidence=True, places=True)
    seen = one.walk(asked)
    assert seen.keys() == View.__annotations__.keys() - EachSeen.__annotations__.keys()
    for step in seen["commands"]:
        assert step.keys() >= Stepped.__annotations__.keys()
    for words in seen["next"].values():
        assert words.keys() == Words.__annotations__.keys()
    assert one.watch(0.01).keys() == Watched.__annotations__.keys()


def test_places_are_shown_where_they_are_wanted(gate: Gate) -> None:
    one, _ = gate("iptables -F")
    walk(one, ("s", 1), ("k", 1), ("s", 1))
    assert all(made["before"] is None for made in view(one)["commands"])
    every = [made["before"] for made in view(one, places=True)["commands"]]
    looks = [look for look in every if look is not None]
    assert looks == every
    assert [look["next"]["s"]["program"] for look in looks] == ["script", "iptables", "iptables"]
    assert [look["next"]["k"]["program"] for look in looks] == ["kubelet", "kubelet", "iptables"]
    assert looks[0]["done"] == {"k": False, "x": False, "s": False}


def test_the_rest_is_shown_where_it_is_wanted(gate: Gate) -> None:
    one, _ = gate("iptables -F")
    seen = one.walk(Walk([("k", None)], "ab", None, rules_too=True, evidence=True, places=False))
    assert seen["rules"] == {"ipv4": "{('ipv4', 'filter')}", "ipv6": ""}
    assert (seen["lock"], seen["programs"]) == ("script", ["xtables-nft-multi"])
    assert (seen["guard"], seen["journal"]) == ([61321], [])
    assert seen["words"]["ipv4"] == "initialised"
    assert seen["first_family"] == "ipv4"
    assert (seen["restarts"], seen["stopped"]) == (0, False)
    assert seen["beginning"] > 0
    assert "rules" not in view(one)
    walk(one, ("s", 1))
    assert view(one)["beginning"] == 0.0


def test_every_step_is_told_to_the_proof_with_its_lane(gate: Gate) -> None:
    one, _ = gate("iptables -F")
    walk(one, ("s", 1), ("k", 2), ("s", 1))
    (proof,) = FakeProof.made
    assert proof.steps == [
        ("s", []),
        ("k", []),
        ("k", [HINT]),
        ("s", ["iptables -F"]),
    ]
    assert proof.settled == 4


def test_what_steps_along_is_told_to_the_proof_within_the_step(gate: Gate) -> None:
    work = [HINT6, ("ipv6", "initialised"), HINT, ("ipv4", "initialised")]
    one, _ = gate("iptables -F", lazy=("x",), work=work)
    walk(one, ("k", 1))
    (proof,) = FakeProof.made
    assert proof.steps == [("k", [HINT6])]


# Waits.


def test_a_step_is_over_when_its_process_has_ended(gate: Gate) -> None:
    one, machine = gate("iptables -F")
    walk(one, ("k", 1))
    machine.asleep = {HINT}
    with pytest.raises(NodeError, match=rf"the limit of 0 s passed; {HINT} has not ended"):
        walk(one, ("k", 1))


def test_a_script_that_waits_for_nobody_who_is_held_passes_the_limit(gate: Gate) -> None:
    one, machine = gate("sleep 9")
    machine.asleep = {"sleep 9"}
    with pytest.raises(NodeError, match="nothing of it is held"):
        walk(one, ("s", None))


def test_a_wait_is_broken_off_by_anything_on_the_line(gate: Gate) -> None:
    reader, writer = os.pipe()
    one, machine = gate("sleep 9", line=reader, limit=60.0)
    machine.asleep = {"sleep 9"}
    os.write(writer, b"break")
    with pytest.raises(NodeError, match="broken off"):
        walk(one, ("s", None))
    for end in (reader, writer):
        os.close(end)


def test_after_some_seconds_no_further_step_is_made(gate: Gate) -> None:
    one, _ = gate(*["iptables -F"] * 50)
    assert walk(one, ("s", 400), seconds=-1.0) == []
    assert len(walk(one, ("s", 400), seconds=60.0)) == 51


def test_a_start_takes_the_time_that_it_takes(gate: Gate) -> None:
    one, _ = gate("iptables -F")
    assert walk(one, ("s", None), ("s", 1), seconds=-1.0) == ["s", "s"]


def test_a_unit_that_the_script_has_started_is_waited_for(gate: Gate) -> None:
    one, machine = gate("iptables -F")
    machine.left = ["run-r1.timer"]
    with pytest.raises(NodeError, match=r"run-r1.timer, which it started, goes on"):
        walk(one, ("s", None))
    assert not view(one)["done"]["s"]


# What must not happen.


LOOK = "iptables -w 5 -S KUBE-KUBELET-CANARY -t mangle"


def monitor_looks(machine: Machine) -> None:
    machine.opens(LOOK)


def test_a_look_of_kubelets_monitor_waits_until_all_is_over(gate: Gate) -> None:
    """What is explored comes before it: a machine may be slow, and a minute go by."""
    one, machine = gate("iptables -F", "iptables -X")
    walk(one, ("k", None), ("x", None), ("s", 1))
    monitor_looks(machine)
    assert walk(one, ("k", None), ("s", None)) == ["s", "s"]
    seen = view(one)
    assert (seen["doubts"], seen["done"]) == ([], {"k": True, "x": True, "s": True})
    assert not any("-S KUBE-KUBELET" in line for _, line in lines(one))
    assert one.watch(0.05)["looked"] == {"ipv4": True, "ipv6": False}


def test_a_canary_that_is_tried_again_waits_too(gate: Gate) -> None:
    """A round that was refused is made again after a minute (iptables.go, Monitor)."""
    one, machine = gate("iptables -F", "iptables -X")
    walk(one, ("k", None), ("x", None), ("s", 1))
    machine.opens("iptables -w 5 -N KUBE-KUBELET-CANARY -t mangle")
    assert walk(one, ("s", None)) == ["s", "s"]
    assert view(one)["doubts"] == []


def test_a_look_that_is_ended_while_it_waits_is_a_doubt(gate: Gate) -> None:
    """kubelet takes the canary for deleted then."""
    one, machine = gate("iptables -F", "iptables -X")
    walk(one, ("k", None), ("x", None), ("s", 1))
    monitor_looks(machine)
    one.pump(0)
    machine.kill(machine.pid_of(LOOK))
    one.pump(0)
    assert view(one)["doubts"] == ["iptables was ended while it was held"]


def test_but_not_one_that_is_ended_with_its_kubelet(gate: Gate) -> None:
    one, machine = gate("iptables -F", "iptables -X")
    walk(one, ("k", None), ("x", None), ("s", 1))
    monitor_looks(machine)
    one.pump(0)
    machine.state = "inactive"
    machine.kill(machine.pid_of(LOOK))
    walk(one, ("s", None))
    assert one.watch(0.05)["looked"] == {"ipv4": False, "ipv6": False}
    assert view(one)["doubts"] == []


def test_anything_else_that_kubelet_does_after_its_last_step_spoils_the_walk(gate: Gate) -> None:
    one, machine = gate("iptables -F", "iptables -X")
    walk(one, ("k", None), ("x", None), ("s", 1))
    machine.opens("iptables -w 5 -N KUBE-OTHER -t mangle")
    with suppress(NodeError):  # where it is waited for something more
        walk(one, ("s", 1))
    with pytest.raises(NodeError, match="kubelet went on after its last step: iptables"):
        view(one)


def test_one_that_comes_before_the_lane_has_done_is_one_of_its_steps(gate: Gate) -> None:
    one, _ = gate("iptables -F")
    walk(one, ("k", 3))
    assert view(one)["doubts"] == []


def test_a_process_that_is_ended_while_it_is_held_is_a_doubt(gate: Gate) -> None:
    one, machine = gate(("in the background", ["sleep 1"]), "iptables -F", "iptables -X")
    walk(one, ("s", 1))
    machine.kill(machine.pid_of("sleep 1"))
    one.pump(0)
    assert view(one)["doubts"] == ["sleep was ended while it was held"]


def test_a_process_of_kubelets_that_is_ended_while_it_is_held_is_one_too(gate: Gate) -> None:
    one, machine = gate("iptables -F")
    walk(one, ("k", 1), ("s", 1))
    machine.kill(machine.pid_of(HINT))
    one.pump(0)
    assert view(one)["doubts"] == ["iptables was ended while it was held"]


def test_but_not_one_that_is_ended_with_kubelet_by_the_script(gate: Gate) -> None:
    def stops(node: Machine) -> None:
        node.kill(node.pid_of(HINT))
        node.kill(node.pid, 0)
        node.state, node.pid = "inactive", 0

    one, _ = gate("systemctl stop kubelet", ("do", stops), "iptables -F")
    walk(one, ("k", 1), ("s", 2))
    seen = view(one)
    assert seen["doubts"] == []
    assert seen["stopped"]
    assert seen["done"] == {"k": True, "x": True, "s": False}
    assert seen["words"] == {}


def restarts(node: Machine) -> None:
    """systemd ends kubelet and starts another, while the script's systemctl waits."""
    node.kill(node.pid_of(HINT))
    before, node.work = node.pid, deque(WORK)
    node.start_subject()
    node.kill(before, 0)


def test_a_kubelet_that_the_script_restarts_begins_anew(gate: Gate) -> None:
    one, _ = gate("systemctl restart kubelet", ("do", restarts), "iptables -F")
    walk(one, ("k", 1), ("s", 2))
    seen = view(one)
    assert (seen["restarts"], seen["stopped"], seen["doubts"]) == (1, False, [])
    assert seen["next"]["k"]["arguments"] == HINT.split()[1:]
    assert walk(one, ("k", None), ("x", None)) == list("kkkkxxxx")
    assert lines(one)[0] == ("k", "kubelet begins")
    assert view(one)["done"]["k"]


def test_a_kubelet_that_fails_in_the_middle_spoils_the_walk(gate: Gate) -> None:
    one, machine = gate("iptables -F")
    walk(one, ("k", 1), ("s", 1))
    machine.kill(machine.pid, 1)
    machine.state, machine.pid = "failed", 0
    with suppress(NodeError):  # where it is waited for something more
        walk(one, ("s", 1))
    with pytest.raises(NodeError, match="kubelet ended with 1 in the middle"):
        view(one)


def test_what_was_executed_past_the_gate_is_a_doubt(gate: Gate) -> None:
    one, _ = gate("iptables -F")
    cast("Any", one)._door.passed.append("perl x")  # noqa: SLF001
    assert view(one)["doubts"] == ["perl x was executed past the gate"]


def test_doubts_of_both_kinds_stand_beside_each_other(gate: Gate) -> None:
    one, _ = gate("iptables -F")
    FakeProof.made[0].doubt("nobody known")
    cast("Any", one)._door.passed.append("perl x")  # noqa: SLF001
    assert view(one)["doubts"] == ["nobody known", "perl x was executed past the gate"]


def test_a_shell_whose_own_looks_are_not_seen_is_a_doubt(gate: Gate) -> None:
    one, _ = gate("sh -c x")
    walk(one, ("s", 1))
    (doubt,) = view(one)["doubts"]
    assert "it is none of the node's shells" in doubt


def test_the_doubts_of_the_proof_are_shown(gate: Gate) -> None:
    one, _ = gate("iptables -F")
    FakeProof.made[0].doubt("somebody changed ipv4/filter")
    assert view(one)["doubts"] == ["somebody changed ipv4/filter"]


# Afterwards.


def test_set_free_all_goes_on_until_kubelets_monitor_has_looked(gate: Gate) -> None:
    one, machine = gate("iptables -F")
    walk(one, ("k", None), ("x", None), ("s", 1))
    for name in ("iptables", "ip6tables"):
        machine.opens(f"{name} -w 5 -S KUBE-KUBELET-CANARY -t mangle")
    seen = one.watch(1.0)
    assert seen["looked"] == {"ipv4": True, "ipv6": True}
    assert seen["seconds"] < 1.0
    assert not one.held


def test_a_monitor_that_does_not_look_is_waited_for_up_to_the_limit(gate: Gate) -> None:
    one, _ = gate("iptables -F")
    walk(one, ("k", None), ("x", None))
    seen = one.watch(0.05)
    assert seen["looked"] == {"ipv4": False, "ipv6": False}
    assert seen["seconds"] >= 0.05


def test_a_watch_too_is_broken_off_when_the_lab_says_something(gate: Gate) -> None:
    """An interruption does not wait for the Monitor's minute."""
    here, there = os.pipe()
    one, _ = gate("iptables -F", line=here)
    walk(one, ("k", None), ("x", None))
    os.write(there, b"anything")
    begun = time.monotonic()
    with pytest.raises(NodeError, match="broken off"):
        one.watch(60.0)
    assert time.monotonic() - begun < 5
    for end in (here, there):
        os.close(end)


def test_in_the_end_all_that_followed_from_the_script_is_ended(gate: Gate) -> None:
    one, machine = gate("iptables -F")
    walk(one, ("s", 1))
    pids = list(cast("Any", one)._owners.script)  # noqa: SLF001
    assert len(pids) == 2
    one.close()
    assert machine.ended == pids


def test_who_is_left_running_is_not_ended(gate: Gate) -> None:
    one, machine = gate("iptables -F")
    walk(one, ("s", 1))
    one.close(leave=True)
    assert machine.ended is None


def test_kubelets_own_command_is_kubelets_whatever_its_unit_says(gate: Gate) -> None:
    one, _ = gate("iptables -F")
    walk(one, ("k", 2))
    assert {made["actor"] for made in view(one)["commands"]} == {KUBELET}


# A subject in kubelet's place.


def guarded(gate: Gate, *lines: Any, program: list[Any]) -> tuple[Stepping, Machine]:
    about = {"name": "guard", "unit": GUARD, "done": "", "check": "", "programs": []}
    return gate(*lines, change=lambda node: node.program.extend(program), program=about)


def test_a_subjects_unit_is_held_as_the_script_is(gate: Gate) -> None:
    one, _ = guarded(gate, "iptables -F", program=["iptables -N A"])
    seen = view(one)
    assert seen["next"].keys() == {"d", "s"}
    assert seen["done"] == {"k": True, "x": True, "d": False, "s": False}
    walk(one, ("d", 3), ("s", None))
    assert lines(one) == [
        ("d", "subject begins"),
        ("d", "guard.sh"),
        ("d", "iptables -N A"),
        ("s", "script begins"),
        ("s", "iptables -F"),
    ]
    assert view(one)["done"]["d"]
    assert {made["actor"] for made in view(one)["commands"][:3]} == {"subject"}


def test_no_end_is_judged_by_a_script(gate: Gate) -> None:
    with pytest.raises(NodeError, match="a script promises nothing"):
        gate("iptables -F", judges_other=True)


def test_each_of_the_two_gets_its_own_answers(gate: Gate) -> None:
    one, machine = guarded(gate, "iptables -F", program=["iptables -N A"])
    machine.codes = {"iptables -F": 1, "iptables -N A": 2}
    walk(one, ("s", 2), ("d", None))
    answers = [
        {said["step"]: said["code"] for said in made["answers"]} for made in view(one)["commands"]
    ]
    assert answers[1][1] == 1
    assert answers[-1] == {3: 0, 4: 2}


@pytest.mark.parametrize(("code", "word"), [(0, "initialised"), (1, "failed")])
def test_how_its_start_ended_is_systemds_word(gate: Gate, code: int, word: str) -> None:
    one, _ = guarded(gate, "iptables -F", program=["iptables -N A", ("exits", code)])
    assert view(one)["words"] == {}
    walk(one, ("d", None))
    assert view(one)["words"] == {"ipv4": word, "ipv6": word}


def test_nobody_sees_when_it_looks_at_its_rules_so_it_is_watched_for_all_of_the_time(
    gate: Gate,
) -> None:
    one, _ = guarded(gate, "iptables -F", program=["iptables -N A"])
    walk(one, ("d", None), ("s", None))
    seen = one.watch(0.05)
    assert (seen["looked"], seen["words"]["ipv4"]) == ({}, "initialised")
    assert seen["seconds"] >= 0.05
    assert seen["rules"] == {"ipv4": "None", "ipv6": ""}


def test_a_start_that_is_made_again_while_it_is_watched_has_repaired_nothing_yet(
    gate: Gate,
) -> None:
    one, machine = guarded(gate, "iptables -F", program=["iptables -N A"])
    walk(one, ("d", None), ("s", None))
    machine.state = "activating"
    assert one.watch(0.05)["words"] == {"ipv4": "failed", "ipv6": "failed"}


def test_its_check_is_run_beside_a_neighbour(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    there: list[bool] = []

    @contextmanager
    def neighbour() -> Iterator[None]:
        there.append(True)
        yield
        there.append(False)

    monkeypatch.setattr(guard, "neighbour", neighbour)
    monkeypatch.setattr(shown, "run_command", lambda line: int(line) if there == [True] else 1)
    about = {"name": "guard", "unit": GUARD, "done": "", "check": "7", "programs": []}
    one, _ = gate(program=about, begun=False, change=lambda node: node.program.append("true"))
    walk(one, ("d", None))
    assert view(one, rules=True)["check"] == 7
    assert there == [True, False]


def test_no_packet_is_tried_for_it(gate: Gate) -> None:
    one, _ = guarded(gate, "iptables -F", program=["iptables -N A"])
    walk(one, ("d", None), ("s", None))
    seen = view(one, rules=True)
    assert (seen["guard"], seen["check"]) == ([], 0)


def test_kubelet_is_not_begun_for_it_whatever_kubelet_is_ordered_behind(gate: Gate) -> None:
    about = {"name": "guard", "unit": GUARD, "done": "", "check": "", "programs": []}

    def orders(node: Machine) -> None:
        node.behind.append(OWN)
        node.program.append("iptables -N A")

    one, machine = gate("iptables -F", change=orders, program=about)
    walk(one, ("s", None), ("d", None))
    assert {made["lane"] for made in view(one)["commands"]} == {"d", "s"}
    assert machine.pid == 0
