import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from chainrace.base.errors import LabError, UsageError
from chainrace.base.paths import REPOSITORY, Paths
from chainrace.cli import PIPE_CLOSED_EXIT, main
from chainrace.cli.app import app
from chainrace.cli.options import seconds

LAB = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); from chainrace.cli import main; main()"
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "meant"), [("90s", 90), ("5m", 300), ("1h", 3600), ("1h30m", 5400), ("2m5s", 125)]
)
def test_durations_are_read(text: str, meant: float) -> None:
    assert seconds(text) == meant


@pytest.mark.parametrize("text", ["", "5", "m", "five minutes", "-5m", "1.5h", "5m1h", "0s", "5m "])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--budget"):
        seconds(text)


def run(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["lab", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--budget", "soon"),
        ("run", "--trials", "0"),
        ("run", "--trials", "many"),
        ("run", "--nonsense"),
        ("run", "--evidence", "hearsay"),
        ("run", "nowhere"),
        ("run", "-k", "and and"),
        ("run", "-k", "nothing-like-it"),
        ("run", "--script", "/nowhere"),
        ("run", "--kubelet", "1.2.3"),
        ("run", "--kubelet", "/nowhere"),
        ("list", "nowhere"),
        ("report", "/nowhere"),
        ("compare", "/nowhere"),
        ("run", "--keep", "perhaps"),
        ("run", "--shell-on-failure"),
        ("race",),
        ("judge", "/nowhere"),
        ("replay", "k0 s*"),
        ("replay", "q1 s*"),
        ("replay", ""),
        ("replay",),
        ("replay", "k1 s*", "--times", "0"),
        ("replay", "k1 s*", "--script", "/nowhere"),
        ("explore", "--script", "/nowhere"),
        ("explore", "--script", "/etc/hostname"),
        ("explore", "--script", "/"),
        ("explore", "--budget", "soon"),
        ("explore", "--preemptions", "-1"),
        ("explore", "--nodes", "9"),
        ("explore", "--backend", "ebtables"),
        ("explore", "--boot", "--script", "/bin/sh"),
        ("explore", "--prepare", "/nowhere"),
        ("replay", "k1 s*", "--prepare", "/etc/hostname"),
        ("kubelets", "--draw", "/nowhere"),
        ("mitigations", "/nowhere"),
        ("matrix", "--subject", "docker", "--against", "docker"),
    ],
)
def test_wrong_usage_ends_with_2_and_no_traceback(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words, monkeypatch=monkeypatch) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_what_nobody_foresaw_is_a_broken_environment_and_never_a_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def burst(_: object) -> None:
        raise PermissionError(13, "no such right")

    monkeypatch.setattr("chainrace.cli.run.judge_again", burst)
    assert run("judge", "results/latest", monkeypatch=monkeypatch) == 4
    said = capsys.readouterr().err
    assert "no such right" in said
    assert "Traceback" not in said


def test_an_interruption_says_so_and_is_no_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("chainrace.cli.run.judge_again", interrupt)
    assert run("judge", "results/latest", monkeypatch=monkeypatch) == 130
    assert "interrupted" in capsys.readouterr().err


def test_help_names_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--help", monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    commands = "doctor setup run list test judge report compare measure ssh console down"
    for command in commands.split():
        assert command in said


@pytest.mark.parametrize(
    ("words", "said", "command"),
    [
        ((), "no command is named", "./lab"),
        (("race",), "no such command 'race'", "./lab"),
        (("run", "--nonsense"), "no such option: --nonsense", "./lab run"),
        (("run", "--keep", "perhaps"), "'perhaps' is not one of", "./lab run"),
        (("run", "--trials", "many"), "invalid value for '--trials'", "./lab run"),
        (("replay",), "a schedule or --from is missing", "./lab replay"),
        (("judge", "a", "b"), "unexpected extra argument", "./lab judge"),
        (("list", "-k"), "requires an argument", "./lab"),
    ],
)
def test_a_wrong_call_is_one_line_and_where_to_look(
    words: tuple[str, ...],
    said: str,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(*words, monkeypatch=monkeypatch) == 2
    what, remedy = capsys.readouterr().err.splitlines()
    assert what.startswith("lab: ")
    assert said in what
    assert remedy == f"  to do: {command} --help"


@pytest.mark.parametrize("said", ["a\n  to do: rm -rf /", "a\tb\rc", "\x1b[2Ja", "a\u202eb\u2028c"])
def test_nothing_that_a_call_says_adds_a_line_to_an_error(
    said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("judge", said, monkeypatch=monkeypatch) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 2
    assert all(line.isprintable() for line in told.splitlines())


def test_of_a_long_error_its_begin_and_its_end_are_told() -> None:
    error = LabError("cannot read " + "x" * 10**6 + ": no such file", "name one")
    assert len(error.what) < 320
    assert error.what.startswith("cannot read x")
    assert error.what.endswith("x: no such file")


def outcome(shell: str, *words: str) -> tuple[int, str]:
    """Exit code and standard error of ./lab in a shell's line that has its place at `LAB`."""
    line = shell.replace("LAB", '"$@"')
    command = ["bash", "-c", line, "bash", sys.executable, "-c", LAB, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("words", [("list",), ("--help",)])
def test_a_reader_that_has_seen_enough_is_no_error(words: tuple[str, ...]) -> None:
    code, said = outcome("LAB | true; exit ${PIPESTATUS[0]}", *words)
    assert code in (0, PIPE_CLOSED_EXIT)
    assert said == ""


def test_the_version_is_told_with_its_commit() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LAB, "--version"], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(
        r"chainrace \d+\.\d+\.\d+, commit [0-9a-f]{40}( and changes)?\n", done.stdout
    )


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_help_ends_with_an_example_and_the_exit_codes(name: str) -> None:
    said = " ".join(COMMANDS[name].epilog.split())
    assert said.startswith(f"Example: ./lab {name}")
    assert "Exit codes: " in said


@pytest.mark.parametrize("shell", ["LAB >/dev/full", "LAB >&-"])
@pytest.mark.parametrize("words", [("list",), ("--help",)])
def test_where_nobody_hears_the_answer_it_is_no_verdict(shell: str, words: tuple[str, ...]) -> None:
    code, said = outcome(shell, *words)
    assert code == 4
    assert said.startswith("lab: ")
    assert len(said.splitlines()) == 2


def test_where_nobody_hears_the_error_its_exit_code_says_it() -> None:
    assert outcome("LAB 2>/dev/full", "list", "nowhere") == (2, "")


def test_the_log_of_an_error_is_named_where_it_was_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def burst(_: object) -> None:
        raise RuntimeError("never thought of")

    monkeypatch.setattr("chainrace.cli.run.judge_again", burst)
    monkeypatch.setattr("chainrace.cli.Paths", lambda: Paths(tmp_path))
    log = tmp_path / ".lab" / "log" / "error.log"
    run("judge", "x", monkeypatch=monkeypatch)
    assert f"see {log}" in capsys.readouterr().err
    assert "never thought of" in log.read_text()
    log.unlink()
    log.mkdir()
    assert run("judge", "x", monkeypatch=monkeypatch) == 4
    assert f"see {log}" not in capsys.readouterr().err
