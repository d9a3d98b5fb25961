import pytest

from chainrace.cli import main
from chainrace.cli.app import seconds
from chainrace.errors import UsageError


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
        ("remedies", "/nowhere"),
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
