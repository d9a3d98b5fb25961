"""Who is stopped at the door, and who is let go on at once."""

import os
import queue
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainrace.gate import door as doors
from chainrace.gate.door import Door, interpreter_of
from chainrace.gate.fanotify import Opening
from chainrace.gate.procevents import Ended, Event, Executed, Forked
from chainrace.gate.shell import NodeError
from chainrace.gate.whose import SCRIPT, Owners

MAIN, KUBELETS, STRANGER = 5_000_100, 5_000_050, 5_000_900
UNITS = {
    MAIN: "chainrace-script.service",
    KUBELETS: "kubelet.service",
    STRANGER: "cron.service",
}


class FakeGate:
    """fanotify: openings come from the test, answers go to it."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.coming: queue.SimpleQueue[Opening | Exception] = queue.SimpleQueue()
        self.allowed: list[Opening] = []
        self.released = False

    def put(self, one: Opening | Exception) -> None:
        self.coming.put(one)
        os.write(self.writer, b"x")

    def fileno(self) -> int:
        return self.reader

    def openings(self) -> list[Opening]:
        os.read(self.reader, 1)
        one = self.coming.get()
        if isinstance(one, Exception):
            raise one
        return [one]

    def allow(self, opening: Opening) -> None:
        self.allowed.append(opening)

    def release_all(self) -> None:
        self.released = True

    def close(self) -> None:
        for one in (self.reader, self.writer):
            os.close(one)


class FakeEvents:
    def __init__(self) -> None:
        self.coming: list[Event] = []

    def events(self) -> list[Event]:
        found, self.coming = self.coming, []
        return found


class House:
    """A door with its gate, the kernel's events, and the programs that are executed there."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.gate, self.events = FakeGate(), FakeEvents()
        monkeypatch.setattr(doors, "OpenGate", lambda *_, **__: self.gate)
        self.units: dict[int, str] = dict(UNITS)
        self.owners = Owners(
            "kubelet.service",
            {"chainrace-script.service": "s"},
            lambda pid: self.units.get(pid, ""),
            {"cron.service"},
            set(),
        )
        self.owners.at_work.add("s")
        self.static = folder / "iptables-static"
        self.door = Door(
            self.owners,
            self.events,  # type: ignore[arg-type]
            "library",
            [str(self.static)],
            ["/"],
            by_mount=False,
        )
        self._handles: list[int] = []

    def opens(
        self, pid: int, name: str, content: str = "\x7fELF", *, in_exec: bool = True
    ) -> Opening:
        """A process opens or executes a file; returns when the door has answered, or not."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        handle = os.open(path, os.O_RDONLY)
        self._handles.append(handle)
        opening = Opening(pid, handle, in_exec)
        self.gate.put(opening)
        # What the thread has not met yet, it meets before this one.
        mark = Opening(STRANGER, handle, in_exec=False)
        self.gate.put(mark)
        deadline = time.monotonic() + 5
        while mark not in self.gate.allowed:
            assert time.monotonic() < deadline
            time.sleep(0.0005)
        return opening

    def waits(self, opening: Opening) -> bool:
        return opening not in self.gate.allowed

    def close(self) -> None:
        self.door.close()
        for handle in self._handles:
            os.close(handle)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    made = House(tmp_path, monkeypatch)
    yield made
    made.close()


def test_each_program_that_the_script_executes_is_held_until_it_is_allowed(house: House) -> None:
    opening = house.opens(MAIN, "grep")
    assert house.waits(opening)
    came, _ = house.door.take()
    (one,) = came
    assert (one.pid, one.owner, Path(one.path).name) == (MAIN, SCRIPT, "grep")
    house.door.allow(one)
    assert not house.waits(opening)
    assert house.door.take() == ([], [])


def test_a_child_of_the_scripts_too_in_whatever_unit(house: House) -> None:
    house.units[MAIN + 1] = "cron.service"
    house.owners.of(MAIN)
    house.events.coming = [Forked(MAIN, MAIN + 1)]
    assert house.waits(house.opens(MAIN + 1, "grep"))


def test_of_the_subject_the_library_is_held_and_what_does_not_load_it(house: House) -> None:
    assert house.waits(house.opens(KUBELETS, "libxtables.so", in_exec=False))
    assert house.waits(house.opens(KUBELETS, "iptables-static"))
    assert not house.waits(house.opens(KUBELETS, "grep"))


def test_the_scripts_own_opening_of_the_library_is_none_of_its_steps(house: House) -> None:
    assert not house.waits(house.opens(MAIN, "libxtables.so", in_exec=False))


def test_what_is_nobodys_goes_on_and_is_remembered_where_it_is_a_firewall_program(
    house: House,
) -> None:
    for name in ("grep", "iptables", "nft"):
        assert not house.waits(house.opens(STRANGER, name))
    assert house.door.outsiders.keys() == {STRANGER}


def test_systemds_executor_goes_on_and_what_it_becomes_is_held(house: House) -> None:
    """PID 1 would be held with it."""
    assert not house.waits(house.opens(MAIN, "systemd-executor"))
    house.events.coming = [Executed(MAIN)]
    assert house.waits(house.opens(MAIN, "grep"))


def test_what_is_to_pass_freely_passes(house: House) -> None:
    house.door.let_pass(lambda one: Path(one.path).name == "script")
    assert not house.waits(house.opens(MAIN, "script", "#!/bin/sh\n"))
    house.events.coming = [Executed(MAIN)]
    assert house.waits(house.opens(MAIN, "grep"))


def allow_first(house: House) -> None:
    (one,), _ = house.door.take()
    house.door.allow(one)


def test_the_interpreter_that_a_script_names_is_no_step_of_its_own(house: House) -> None:
    shell = house.folder / "sh"
    house.opens(MAIN, "script", f"#!{shell} -e\n")
    allow_first(house)
    assert not house.waits(house.opens(MAIN, "sh"))
    house.events.coming = [Executed(MAIN)]
    assert house.waits(house.opens(MAIN, "sh"))


def test_nor_is_the_loader_of_a_binary(house: House) -> None:
    house.opens(MAIN, "grep")
    allow_first(house)
    assert not house.waits(house.opens(MAIN, "ld-linux-x86-64.so.2"))
    assert house.waits(house.opens(MAIN, "another"))


def test_the_next_program_of_the_same_process_is_another_step(house: House) -> None:
    """`exec`."""
    house.opens(MAIN, "one")
    allow_first(house)
    house.events.coming = [Executed(MAIN)]
    assert house.waits(house.opens(MAIN, "ld-linux-x86-64.so.2"))


def test_a_program_of_the_scripts_that_was_executed_past_the_door_is_told(house: House) -> None:
    house.owners.of(MAIN)
    house.events.coming = [Executed(MAIN)]
    house.door.take()
    assert house.door.passed == ["a program that has ended"]


def test_one_that_was_held_is_not(house: House) -> None:
    house.opens(MAIN, "one")
    allow_first(house)
    house.events.coming = [Executed(MAIN)]
    house.door.take()
    assert house.door.passed == []
    house.events.coming = [Executed(MAIN)]
    house.door.take()
    assert len(house.door.passed) == 1


def test_nor_one_whose_execve_failed_before_it_ended(house: House) -> None:
    house.opens(MAIN, "one")
    allow_first(house)
    house.events.coming = [Ended(MAIN, 126, 1.0)]
    house.door.take()
    assert house.door.passed == []


def test_what_happens_to_processes_is_told_in_order(house: House) -> None:
    events: list[Event] = [Forked(MAIN, MAIN + 1), Ended(MAIN + 1, 0, 1.0)]
    house.owners.of(MAIN)
    house.events.coming = list(events)
    assert house.door.take() == ([], events)
    assert house.owners.script.keys() == {MAIN}


def test_a_gate_that_fails_holds_nobody_and_says_so(house: House) -> None:
    house.gate.put(OSError("fanotify is gone"))
    deadline = time.monotonic() + 5
    while not house.gate.released:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    with pytest.raises(NodeError, match="the gate failed: fanotify is gone"):
        house.door.take()


def test_whoever_waits_for_the_door_is_woken(house: House) -> None:
    house.opens(MAIN, "grep")
    assert os.read(house.door.fileno(), 1) == b"x"


@pytest.mark.parametrize(
    ("content", "interpreter"),
    [
        ("#!/bin/sh -e\nx", "/bin/sh"),
        ("#! /usr/bin/env bash\n", "/usr/bin/env"),
        ("#!\n", ""),
        ("echo\n", ""),
        ("", ""),
    ],
)
def test_what_a_first_line_names(tmp_path: Path, content: str, interpreter: str) -> None:
    (tmp_path / "file").write_text(content)
    with (tmp_path / "file").open("rb") as file:
        assert interpreter_of(file.fileno()) == interpreter
    assert interpreter_of(10**6) == ""
