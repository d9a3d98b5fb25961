"""A script is looked at on the host: what could never run is refused before any node is up."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from chainrace.base.errors import UsageError
from chainrace.base.paths import REPOSITORY
from chainrace.settings import scripts
from chainrace.settings.scripts import Mistake, at_sight, look, look_at, prefixes, read, shell_of

Write = Callable[..., Path]

LATE = """#!/bin/bash
ip6tables -w -t mangle -F
ip6tables -w -t mangle -X
if [ -e /etc/systemd/scripts/ip6save ]; then
	ip6tables-restore -w </etc/systemd/scripts/ip6save
"""
AT_ONCE = """#!/bin/bash
# The mistake is in the first thing that bash reads.
reload() {
	iptables-save >/etc/systemd/scripts/ip4save
)
reload
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(text: str | bytes) -> Path:
        file = tmp_path / "save.sh"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    return put


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("#!/bin/sh\n", "has no command in it"),
        ("#!/bin/sh\n\n  # all of it is a comment\n\t\n", "has no command in it"),
        ("#!bash\niptables -F\n", "is no path of a program"),
        ("#!/usr/bin/\niptables -F\n", "is no path of a program"),
        ("#!/usr/bin/env\niptables -F\n", "names no program"),
        ("#!/usr/bin/env bash -e\niptables -F\n", "write /usr/bin/env -S"),
        (f"#!/{'x' * 300}\niptables -F\n", "the kernel reads 255"),
        (b"#!/bin/sh\n\x7fELF\x00\x01\n", "has binary data in it"),
    ],
)
def test_what_could_never_run_is_refused(write: Write, text: str | bytes, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        look_at(write(text))


@pytest.mark.parametrize(
    "text",
    [
        "#!/bin/sh\niptables -F",
        "#!/bin/sh -eu\niptables -F\n",
        "#! /usr/bin/env bash\niptables -F\n",
        "#!/usr/bin/env -S bash -eu\niptables -F\n",
        "#!/usr/bin/python3\nimport os\n",
        "#!/opt/own/bin/perl -w\nsystem 'iptables -F';\n",
        "#!/bin/sh\nexit 0\n" + "x" * 5000 + "\0\0",
    ],
)
def test_what_may_run_is_not(write: Write, text: str) -> None:
    assert look_at(write(text)) == ""


@pytest.mark.parametrize(
    ("line", "shell"),
    [
        ("#!/bin/sh", "sh"),
        ("#! /usr/bin/bash -e", "bash"),
        ("#!/usr/bin/env bash", "bash"),
        ("#!/usr/bin/env -S A=1 dash -e", "dash"),
        ("#!/bin/zsh", ""),
        ("#!/usr/bin/env python3", ""),
        ("#!/usr/bin/env", ""),
        ("#!", ""),
    ],
)
def test_the_first_line_names_the_shell(line: str, shell: str) -> None:
    assert shell_of(line) == shell


def test_a_mistake_in_the_first_command_is_refused_with_the_shells_own_words(write: Write) -> None:
    with pytest.raises(UsageError, match="nothing of it would ever run") as told:
        look_at(write(AT_ONCE))
    assert "bash finds a mistake in line 5" in told.value.what
    assert "syntax error near unexpected token" in told.value.what
    assert told.value.exit_code == 2


def test_what_stands_above_a_later_mistake_is_executed_so_it_is_only_remarked(write: Write) -> None:
    remark = look_at(write(LATE))
    assert "bash finds a mistake in line 6" in remark
    assert "what stands above it is executed" in remark


def test_a_mistake_in_a_script_of_one_line_is_refused(write: Write) -> None:
    with pytest.raises(UsageError, match="mistake in line 2"):
        look_at(write("#!/bin/sh\niptables -F; )"))


def test_a_shell_that_this_machine_lacks_finds_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert look(AT_ONCE.encode()) == ("", False)


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not on this machine")
def test_what_either_meaning_of_sh_takes_is_no_mistake() -> None:
    """On Azure Linux sh is bash, on Debian dash, which has no lists."""
    lists = b"#!/bin/sh\ntables=(filter nat)\niptables -F\n"
    assert look(lists) == ("", False)


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not on this machine")
def test_patterns_that_a_script_switches_on_are_no_mistake() -> None:
    assert look(b"#!/bin/bash\nshopt -s extglob\nrm -f /tmp/!(ip4save)\n") == ("", False)


def test_nothing_of_the_script_and_nothing_of_the_caller_is_executed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trap = tmp_path / "trap.sh"
    trap.write_text(f"touch {tmp_path}/done\n")
    for name in ("BASH_ENV", "ENV"):
        monkeypatch.setenv(name, str(trap))
    look(f"#!/bin/bash\ntouch {tmp_path}/done\n".encode())
    assert not (tmp_path / "done").exists()


def test_only_first_lines_that_end_with_a_command_are_looked_at() -> None:
    lines = ["#!/bin/sh\n", "\n", "a\n", "# why\n", "b\n", "c\n"]
    assert [len(found) for found in prefixes(lines)] == [3, 5]


def test_a_script_that_takes_too_long_to_look_through_counts_as_one_that_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scripts, "LOOKS_SECONDS", -1)
    remark, refused = look(AT_ONCE.encode())
    assert remark
    assert not refused


def test_what_a_shell_says_is_one_line_whatever_the_script_holds() -> None:
    found = read(["bash", "-n"], ["#!/bin/bash\n", "\x1b[2J)\udcff\n"])
    assert isinstance(found, Mistake)
    assert found.said.isprintable()


@pytest.mark.parametrize(
    "file",
    sorted([*REPOSITORY.glob("examples/**/*.sh"), *REPOSITORY.glob("provision/node/**/*.sh")]),
    ids=lambda file: f"{file.parent.name}/{file.name}",
)
def test_the_projects_own_scripts_are_sound(file: Path) -> None:
    assert at_sight(file.read_bytes()) == ""
    assert look(file.read_bytes()) == ("", False)
