"""Vagrant's commands, by a stand-in for Vagrant: none of them lasts for ever."""

import os
import time
from pathlib import Path

import pytest

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.node import machine
from chainrace.node.machine import Machine, console_since
from chainrace.settings.config import LimitsConfig
from tests.unit.test_shell import is_gone, within

HANGS = """#!/bin/sh
echo "$@" >>calls
echo 'the machine does not answer' >&2
echo 'a long piece of advice' >&2
sleep 300 &
echo $! >pid
wait
"""
FAILS = """#!/bin/sh
echo 'said and done'
echo "no such $1" >&2
exit 3
"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(machine, "PROVISION_SECONDS", 0.5)
    monkeypatch.setattr(machine, "BOOTS", 0)
    return Machine(Paths(tmp_path))


def vagrant(tmp_path: Path, text: str) -> None:
    program = tmp_path / "bin" / "vagrant"
    program.write_text(text)
    program.chmod(0o755)


@pytest.mark.parametrize("command", ["provision", "destroy"])
def test_a_vagrant_that_does_not_end_is_ended_with_what_it_called(
    made: Machine, tmp_path: Path, command: str
) -> None:
    vagrant(tmp_path, HANGS)
    begun = time.monotonic()
    with pytest.raises(LabError) as told:
        getattr(made, command)()
    assert time.monotonic() - begun < 10
    assert told.value.what.startswith(f"vagrant {command} node1 did not end within 0 s, and was")
    assert told.value.what.endswith("ended: the machine does not answer")
    assert within(5, lambda: is_gone(int((tmp_path / "pid").read_text())))
    assert (tmp_path / "calls").read_text().split()[:2] == [command, "node1"]


@pytest.mark.parametrize("command", ["provision", "destroy"])
def test_a_vagrant_that_fails_is_told_by_its_first_line(
    made: Machine, tmp_path: Path, command: str
) -> None:
    vagrant(tmp_path, FAILS)
    with pytest.raises(LabError, match=f"vagrant {command} node1 failed: no such {command}"):
        getattr(made, command)()
    assert made.log.read_text() == "said and done\n"


def test_a_boot_has_three_times_its_limit_and_ten_minutes(tmp_path: Path) -> None:
    assert Machine(Paths(tmp_path), limits=LimitsConfig(boot=100)).limit == 900
    assert Machine(Paths(tmp_path)).limit == 1500


def test_of_a_console_without_an_end_the_last_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "MOST_CONSOLE_BYTES", 10)
    console = tmp_path / "console"
    assert console_since(console, 3) == ("", 3)
    console.write_bytes(b"0123456789abcdef")
    assert console_since(console, 8) == ("89abcdef", 16)
    said, offset = console_since(console, 2)
    assert (said, offset) == ("(4 bytes of the console are left out)\n6789abcdef", 16)
    assert console_since(console, offset) == ("", 16)
    assert console_since(console, 99) == ("", 99)
