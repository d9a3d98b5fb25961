from pathlib import Path

from chainrace.gate.process import Command
from chainrace.gate.shells import Shells


def command(path: str, kind: str = "shell") -> Command:
    return Command(9, "script", "x", [], 0.0, kind=kind, path=path)


def test_the_nodes_shells_and_what_interprets_the_script_are_watched(tmp_path: Path) -> None:
    own, script = tmp_path / "own-sh", tmp_path / "script"
    own.write_text("")
    script.write_text(f"#!{own}\n")
    shells = Shells(str(script))
    assert str(own.resolve()) in shells.files
    assert str(Path("/bin/sh").resolve()) in shells.files
    assert str(own.resolve()) not in Shells(None).files


def test_another_shell_is_not_and_that_is_said(tmp_path: Path) -> None:
    other = tmp_path / "bash"
    other.write_text("")
    shells = Shells(None)
    assert str(other) in shells.unwatched(command(str(other)), "")
    assert str(other) in shells.unwatched(command("/opt/x.sh"), str(other))
    assert shells.unwatched(command("/opt/x.sh"), "/bin/sh") == ""
    assert shells.unwatched(command(str(other), kind=""), "") == ""
    # env becomes the shell, which is held again.
    assert shells.unwatched(command("/opt/x.sh"), "/usr/bin/env") == ""
