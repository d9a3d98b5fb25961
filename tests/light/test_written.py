"""Which files a process has written, told by this machine's own kernel: needs root."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainrace.gate.fanotify import OpenGate, Opening
from chainrace.gate.shell import NodeError
from chainrace.gate.written import Written, digest_files

SHELLS = ["dash", "bash"]


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    if os.geteuid() != 0:
        pytest.skip("whole file systems are watched by root alone")
    try:
        watching = Written([str(tmp_path)])
    except NodeError as error:
        pytest.skip(str(error))
    with watching:
        if watching.refused:
            pytest.skip("this machine's temporary folder cannot be watched")
        yield watching


def made(written: Written, folder: Path, text: str, shell: str = "dash") -> set[str]:
    """What one shell's process has written, in the folder or elsewhere."""
    with subprocess.Popen(
        [f"/bin/{shell}", "-c", text], cwd=folder, stdout=subprocess.DEVNULL
    ) as child:
        assert child.wait() == 0
    return {
        path.removeprefix(f"{folder}/")
        for path, pids in written.take().written.items()
        if child.pid in pids
    }


@pytest.mark.parametrize("shell", SHELLS)
def test_what_a_shell_reads_by_itself_is_told(written: Written, tmp_path: Path, shell: str) -> None:
    for name in ("read", "other"):
        (tmp_path / name).write_text("a\n")
    written.take()
    text = "read -r a <read; [ -e other ] && exec 3<other"
    with subprocess.Popen([f"/bin/{shell}", "-c", text], cwd=tmp_path) as child:
        assert child.wait() == 0
    read = {path for path in written.take({child.pid}).read if path.startswith(f"{tmp_path}/")}
    assert read == {f"{tmp_path}/read"}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("echo a >new", {"new"}),
        ("echo a >>old", {"old"}),
        (": >old", {"old"}),
        ("exec 3>>old; exec 3>&-", {"old"}),
        ("exec 3>sub/new; echo a >&3", {"sub/new"}),
        ("read -r a <old; [ -e nothing ] || cd sub", set()),
    ],
)
def test_a_shells_own_writes_are_told(
    written: Written, tmp_path: Path, shell: str, text: str, paths: set[str]
) -> None:
    (tmp_path / "old").write_text("a\n")
    (tmp_path / "sub").mkdir()
    written.take()
    assert made(written, tmp_path, text, shell) == paths
    assert written.take().written.get(str(tmp_path / "old")) is None


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("rm old", {"old"}),
        ("mv old sub/new", {"old", "sub/new"}),
        ("mv sub other", {"sub", "other"}),
        ("ln old new", {"new"}),
        ("ln -s old new", {"new"}),
        ("mkdir new", {"new"}),
        ("mkfifo new", {"new"}),
        ("truncate -s 0 old", {"old"}),
        ("cp old sub/new", {"sub/new"}),
        ("touch old", {"old"}),
        ("cat old", set()),
    ],
)
def test_what_programs_do_is_told(
    written: Written, tmp_path: Path, text: str, paths: set[str]
) -> None:
    (tmp_path / "old").write_text("a\n")
    (tmp_path / "sub").mkdir()
    assert made(written, tmp_path, f"exec {text}") == paths


def test_a_file_that_stays_open_is_told(written: Written, tmp_path: Path) -> None:
    code = "import sys; f = open('new', 'w'); f.write('a'); f.flush(); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        path = str(tmp_path / "new")
        assert child.pid in written.take().written[path]
        assert digest_files([path]) != {path: "absent"}
        child.communicate(b"\n")
    assert child.pid in written.take().written[path]  # it was closed


def test_a_folder_that_is_gone_leaves_the_name(written: Written, tmp_path: Path) -> None:
    found = made(written, tmp_path, "mkdir sub; echo a >sub/new; rm -r sub")
    assert found == {"?/new"}  # the rest was done by other programs
    assert digest_files(found) == {"?/new": "absent"}


def test_a_folder_that_moved_is_told_by_its_new_name(written: Written, tmp_path: Path) -> None:
    assert made(written, tmp_path, "mkdir sub; echo a >sub/new; mv sub other") == {"other/new"}


def test_what_cannot_be_watched_is_told() -> None:
    if os.geteuid() != 0:
        pytest.skip("whole file systems are watched by root alone")
    with Written(["/proc", "/nothing"]) as watching:
        assert watching.refused == ["/proc", "/nothing"]
        assert not watching.take().written


def test_a_folder_that_is_mounted_over_is_not_taken_for_the_other(
    written: Written, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    text = "cd sub; mount -t tmpfs none ../sub || exit; echo a >new"
    with subprocess.Popen(["unshare", "--mount", "sh", "-c", text], cwd=tmp_path) as child:
        assert child.wait() == 0
    # Seen from here nothing lies over it.
    assert child.pid in written.take().written[str(tmp_path / "sub/new")]


def test_many_files_are_told_at_once(written: Written, tmp_path: Path) -> None:
    names = {f"f{number}" for number in range(2000)}
    code = "for n in range(2000): open(f'f{n}', 'w').close()"
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) as child:
        assert child.wait() == 0
    found = {path for path, pids in written.take().written.items() if child.pid in pids}
    assert {f"{tmp_path}/{name}" for name in names} <= found


def test_a_gate_beside_it_is_not_held_up(written: Written, tmp_path: Path) -> None:
    program = shutil.copy("/bin/dash", tmp_path / "program")
    nothing = tmp_path / "nothing"
    nothing.touch()
    with OpenGate(str(nothing), [str(program)]) as gate:
        child = subprocess.Popen(["/bin/sh", "-c", f"{program} -c 'echo a >new'"], cwd=tmp_path)
        waiting: list[Opening] = []
        while not waiting:
            waiting = gate.openings()
        assert str(tmp_path / "new") not in written.take().written
        gate.allow(waiting[0])
        assert child.wait() == 0
    assert written.take().written[str(tmp_path / "new")] == {waiting[0].pid}
