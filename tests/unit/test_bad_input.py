"""Wrong input of every kind: one clear line, exit code 2 or 4, no traceback, nothing changed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from chainrace import config as configuration
from chainrace.cli import main
from chainrace.paths import Paths

Run = Callable[..., str]


def everything(paths: Paths) -> dict[str, int]:
    """What a command could have changed: results, documents, what the lab is made of."""
    made = [file for folder in (paths.results, paths.store) for file in folder.glob("*")]
    written = [*(paths.root / "docs").glob("*"), *paths.ssh.glob("*")]
    return {str(file): 0 for file in made} | {
        str(file): file.stat().st_mtime_ns for file in written
    }


@pytest.fixture
def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    """Runs a command that must be refused, in a folder of its own; returns what it said."""

    def run(*words: str) -> str:
        before = everything(Paths())
        monkeypatch.chdir(tmp_path)
        here = sorted(tmp_path.rglob("*"))
        monkeypatch.setattr("sys.argv", ["lab", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert ended.value.code in (2, 4), said.out + said.err
        assert "Traceback" not in said.err
        # Whatever nobody foresaw ends so: the type of an exception is no clear line.
        assert "error.log" not in said.err
        assert said.err.strip()
        assert everything(Paths()) == before
        assert sorted(tmp_path.rglob("*")) == here
        return said.err

    return run


SCHEDULES = [
    "",
    " ",
    "k0 s*",
    "k-1 s*",
    "k1,s*",
    "q1 s*",
    "k1 s* k* k",
    "k99999999999999s*",
    "s*k*",
]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_what_is_no_schedule(refused: Run, schedule: str) -> None:
    assert "to do: " in refused("replay", schedule)


TOML = {
    "no toml": "[node",
    "an unknown part": "[nodes]\ncpus = 2",
    "an unknown key": "[node]\ncpu = 2",
    "a text for a number": '[node]\ncpus = "2"',
    "a number too large": "[node]\ncpus = 99",
    "too little memory": "[node]\nmemory_mib = 1",
    "a fraction": "[limits]\nboot = 1.5",
    "a limit of nothing": "[limits]\ntrial = 0",
    "a strange backend": '[node]\nbackend = "ebtables"',
    "no version": '[kubelet]\nversion = "1.34"',
    "a version that would leave its folder": '[kubelet]\nversion = "../../etc"',
    "a list for a table": "node = [1]",
    "a scenario without a name": "[[scenario]]\nbackend = 'nft'",
    "a name that is a path": "[[scenario]]\nname = '../x'",
    "a name that is too long": f"[[scenario]]\nname = '{'x' * 65}'",
    "a name twice": "[[scenario]]\nname = 'a'\n[[scenario]]\nname = 'a'",
    "no scenario at all": "scenario = []",
    "strange evidence": "[[scenario]]\nname = 'a'\nevidence = ['hearsay']",
    "evidence twice": "[[scenario]]\nname = 'a'\nevidence = ['force', 'force']",
    "no evidence": "[[scenario]]\nname = 'a'\nevidence = []",
    "no duration": "[[scenario]]\nname = 'a'\nbudget = 'soon'",
    "an image without a path": "[image]\nuser = 'me'",
    "a user without a key": "[image]\npath = 'a'\nuser = 'me'",
    "a user that ssh would take for an option": "[image]\npath = 'a'\nuser = '-oX'\nkey = 'k'",
    "a strange bus": "[image]\npath = 'a'\nbus = 'ide'",
    "no text": "\0\0",
}


@pytest.mark.parametrize("text", TOML.values(), ids=TOML.keys())
def test_what_is_no_lab_toml(
    refused: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(text)
    read = configuration._read  # noqa: SLF001
    monkeypatch.setattr(configuration, "_read", lambda _: read(file))
    for command in (["list"], ["run"], ["explore"], ["replay", "k* s*"]):
        said = refused(*command)
        assert str(file) in said
        assert "to do:" in said


def verdict(**changes: object) -> str:
    return json.dumps({"schema": 2, "kind": "run", **changes})


VERDICTS = {
    "nothing": "",
    "no json": "{",
    "a list": "[]",
    "a number": "3",
    "nothing in it": "{}",
    "a strange kind": '{"kind": "guess"}',
    "a run without anything": verdict(),
    "a run with a strange verdict": verdict(verdict=3, scripts={}, force=None, reboot=None),
    "an exploration without scripts": '{"kind": "force", "verdict": "harmless"}',
    "a text for scripts": '{"kind": "force", "verdict": "harmless", "scripts": "x"}',
    "no text": "\ud800".encode("utf-16", "surrogatepass").decode("latin-1"),
}


@pytest.mark.parametrize("text", VERDICTS.values(), ids=VERDICTS.keys())
def test_what_is_no_verdict(refused: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "verdict.json").write_text(text)
    for command in (["report"], ["compare"]):
        assert "is no verdict" in refused(*command, str(tmp_path))


TRIALS = ["{", "[]", "3", "null", '{"number": 1}', "\x00", '{"number": 1e99}']


@pytest.mark.parametrize("line", TRIALS)
def test_what_is_no_trial(refused: Run, tmp_path: Path, line: str) -> None:
    (tmp_path / "trials.jsonl").write_text(line + "\n")
    assert "is not a trial" in refused("judge", str(tmp_path))


@pytest.mark.parametrize("name", ["scenario.json", "force.json", "reboot.json", "exposure.json"])
@pytest.mark.parametrize("text", ["{", "[]", '{"name": 3}'])
def test_what_is_no_part_of_a_run(refused: Run, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "scenario.json").write_text('{"name": "a", "script": "b", "evidence": ["force"]}')
    (tmp_path / name).write_text(text)
    assert "is not what a run leaves" in refused("judge", str(tmp_path))


SCRIPTS = {
    "nothing in it": b"",
    "no program named": b"iptables-save\n",
    "a program": b"\x7fELF",
}


@pytest.mark.parametrize("content", SCRIPTS.values(), ids=SCRIPTS.keys())
@pytest.mark.parametrize("command", ["run", "explore"])
def test_what_is_no_script(refused: Run, tmp_path: Path, command: str, content: bytes) -> None:
    (tmp_path / "save.sh").write_bytes(content)
    assert "does not begin with #!" in refused(command, "--script", "save.sh")


@pytest.mark.parametrize(
    "words",
    [
        ("--image", "nowhere.qcow2"),
        ("--image", "."),
        ("--image", "README"),
        ("--image", "README", "--user", "me"),
        ("--user", "me"),
        ("--bus", "sata"),
        ("--bus", "ide"),
    ],
)
@pytest.mark.parametrize("command", [("run",), ("explore",), ("replay", "k* s*")])
def test_what_is_no_image(
    refused: Run, tmp_path: Path, command: tuple[str, ...], words: tuple[str, ...]
) -> None:
    (tmp_path / "README").write_text("no image")
    refused(*command, *words)


@pytest.mark.parametrize("kubelet", ["1.2.3", "nowhere", ".", "v1.34.4", ""])
def test_what_is_no_kubelet(refused: Run, kubelet: str) -> None:
    assert "kubelet" in refused("run", "--kubelet", kubelet)


REMEDIES = {
    "no toml": "about =",
    "no words": "",
    "an unknown key": "about = 'a'\ncosts = 'b'\nprice = 3",
    "a number for a text": "about = 1\ncosts = 'b'",
}


@pytest.mark.parametrize("text", REMEDIES.values(), ids=REMEDIES.keys())
def test_what_is_no_remedy(refused: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "remedy.toml").write_text(text)
    (tmp_path / "script.sh").write_text("#!/bin/sh\n")
    refused("remedies", str(tmp_path))


@pytest.mark.parametrize("name", ["kubelets", "remedies"])
@pytest.mark.parametrize("text", ["{", "3", '[{"x": 1}]', "[3]"])
def test_what_no_table_can_be_drawn_from(
    refused: Run, tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / f"{name}.json").write_text(text)
    refused(name, "--draw", str(tmp_path))
