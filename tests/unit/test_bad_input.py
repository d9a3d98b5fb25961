"""Wrong input of every kind: one clear line, exit code 2 or 4, no traceback, nothing changed."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from chainrace.base.paths import Paths
from chainrace.cli import main
from chainrace.settings import config as configuration
from tests.unit.test_kubelet_file import elf

Run = Callable[..., str]


def everything(paths: Paths) -> dict[str, str]:
    """What a command could have changed: results, documents, what the lab is made of."""
    made = [file for folder in (paths.results, paths.store) for file in folder.glob("*")]
    written = [*(paths.root / "docs").glob("*"), *paths.ssh.glob("*")]
    latest, lock = paths.results / "latest", paths.state / "lock"
    return {
        **{str(file): "" for file in made},
        **{str(file): str(file.stat().st_mtime_ns) for file in written},
        "latest": str(latest.readlink()) if latest.is_symlink() else "",
        "lock": str(lock.exists()),
    }


@pytest.fixture
def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    """Runs a command that must be refused, in a folder of its own; returns what it said."""

    def begun(*_: object, **__: object) -> None:
        raise AssertionError("it was not refused")

    for name in ("run.session.held", "cli.lab.held", "cli.run.refuse_install"):
        monkeypatch.setattr(f"chainrace.{name}", begun)

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
        what, remedy = said.err.splitlines()
        assert what.startswith("lab: ")
        assert remedy.startswith("  to do: ")
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


def test_a_schedule_of_others_is_refused_before_any_node(refused: Run) -> None:
    for race in ("docker beside kubelet", "kubelet beside original@000000000000"):
        assert "the schedule is of" in refused("replay", f"{race}: s2 k* s*")


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
    "evidence twice": "[[scenario]]\nname = 'a'\nevidence = ['exploration', 'exploration']",
    "no evidence": "[[scenario]]\nname = 'a'\nevidence = []",
    "no duration": "[[scenario]]\nname = 'a'\nbudget = 'soon'",
    "an image without a path": "[image]\nuser = 'me'",
    "a user without a key": "[image]\npath = 'a'\nuser = 'me'",
    "a user that ssh would take for an option": "[image]\npath = 'a'\nuser = '-oX'\nkey = 'k'",
    "a strange bus": "[image]\npath = 'a'\nbus = 'ide'",
    "no text": "\0\0",
    "arrays without an end": "node = " + "[" * 5000,
    "deep arrays": "node = " + "[" * 300 + "]" * 300,
    "a long number": "[node]\ncpus = " + "9" * 5000,
    "a long number that cannot be told": "[node]\ncpus = '2'\nmemory_mib = 0x" + "f" * 5000,
    "a megabyte of text": f"[node]\nbackend = '{'x' * 2**20}'",
    "a long time to boot": "[limits]\nboot = 86401",
    "a long time for a trial": "[limits]\ntrial = 86401",
    "a month and more": "[[scenario]]\nname = 'a'\nbudget = '721h'",
    "no time to count": f"[[scenario]]\nname = 'a'\nbudget = '{'9' * 400}h'",
    "other digits": "[[scenario]]\nname = 'a'\nbudget = '\u0663m'",
    "a version in other digits": "[kubelet]\nversion = '\u0661.\u0662.\u0663'",
    "two kubelets": "[kubelet]\nversion = '1.34.4'\npath = '/bin/true'",
    "no kubelet": "[kubelet]\npath = ''",
    "no image": "[image]\npath = ''",
    "no key": "[image]\npath = 'a'\nkey = ''",
    "a scenario without its image": "[[scenario]]\nname = 'a'\nimage = ''",
    "a scenario without its kubelet": "[[scenario]]\nname = 'a'\nkubelet = ''",
    "a scenario without its script": "[[scenario]]\nname = 'a'\nscript = ''",
    "an exit code that is none": "[[scenario]]\nname = 'a'\nscript = 'b'\nexit = 256",
    "an exit code of no script of one's own": "[[scenario]]\nname = 'a'\nexit = 2",
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


def test_a_lab_toml_that_is_no_file(
    refused: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    read = configuration._read  # noqa: SLF001
    for file in (tmp_path / "pipe", tmp_path / "link", tmp_path, Path("/dev/zero")):
        monkeypatch.setattr(configuration, "_read", lambda _, file=file: read(file))
        assert str(file) in refused("list")


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--budget", "721h"),
        ("run", "cluster", "--budget", "5m"),
        ("run", "cluster", "--nodes", "2"),
        ("run", "cluster", "--keep", "always"),
        ("run", "cluster", "--shell-on-failure"),
        ("run", "--evidence", "cluster,trials"),
        ("run", "--budget", "9" * 400 + "h"),
        ("run", "--budget", "\u0663m"),
        ("run", "--trials", "1000001"),
        ("run", "--evidence", ""),
        ("run", "--evidence", "exploration,exploration"),
        ("run", "--user", ""),
        ("run", "--image", "", "--user", ""),
        ("replay", "k* s*", "--key", ""),
        ("explore", "--preemptions", "1000001"),
        ("replay", "k* s*", "--times", "1000001"),
        ("replay", "k1000000 s*"),
        ("replay", "k" + "9" * 5000 + " s*"),
        ("replay", "k1 s1 " * 8000),
        ("list", "-k", "(" * 3000),
        ("list", "-k", "not " * 3000 + "a"),
        ("list", "x" * 2**16),
    ],
)
def test_what_no_option_takes(refused: Run, words: tuple[str, ...]) -> None:
    assert len(refused(*words)) < 1000


def verdict(**changes: object) -> str:
    return json.dumps({"schema": 4, "kind": "run", **changes})


VERDICTS = {
    "nothing": "",
    "no json": "{",
    "a list": "[]",
    "a number": "3",
    "nothing in it": "{}",
    "a strange kind": '{"kind": "guess"}',
    "a run without anything": verdict(),
    "a run with a strange verdict": verdict(verdict=3, scripts={}, exploration=None, reboot=None),
    "an exploration without scripts": '{"kind": "exploration", "verdict": "harmless"}',
    "a text for scripts": '{"kind": "exploration", "verdict": "harmless", "scripts": "x"}',
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


@pytest.mark.parametrize(
    "name", ["scenario.json", "exploration.json", "reboot.json", "exposure.json"]
)
@pytest.mark.parametrize("text", ["{", "[]", '{"name": 3}'])
def test_what_is_no_part_of_a_run(refused: Run, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "scenario.json").write_text(
        '{"name": "a", "script": "b", "evidence": ["exploration"]}'
    )
    (tmp_path / name).write_text(text)
    assert "is not what a run leaves" in refused("judge", str(tmp_path))


SCRIPTS = {
    "nothing in it": b"",
    "no program named": b"iptables-save\n",
    "a program": b"\x7fELF",
}
NO_PROGRAM = {
    "no program": b"#!\n",
    "spaces alone": b"#! \t\n",
    "lines of Windows": b"#!/bin/sh\r\ntrue\r\n",
    "a zero": b"#!/bin/sh\0\n",
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


@pytest.mark.parametrize("content", NO_PROGRAM.values(), ids=NO_PROGRAM.keys())
@pytest.mark.parametrize("command", ["run", "explore"])
def test_what_names_no_program(refused: Run, tmp_path: Path, command: str, content: bytes) -> None:
    (tmp_path / "save.sh").write_bytes(content)
    assert "names no program" in refused(command, "--script", "save.sh")


NOTHING_RUNS = {
    "no command": "#!/bin/sh\n# nothing\n",
    "a mistake in its first command": "#!/bin/bash\nreload() {\n\tiptables -F\n)\nreload\n",
    "no path of a program": "#!bash\niptables -F\n",
}


@pytest.mark.parametrize("content", NOTHING_RUNS.values(), ids=NOTHING_RUNS.keys())
@pytest.mark.parametrize("command", [("run",), ("explore",), ("replay", "k* s*")])
def test_a_script_of_which_nothing_would_ever_run(
    refused: Run, tmp_path: Path, command: tuple[str, ...], content: str
) -> None:
    (tmp_path / "save.sh").write_text(content)
    assert "save.sh" in refused(*command, "--script", "save.sh")


@pytest.mark.parametrize("command", [("run",), ("explore",), ("replay", "k* s*")])
@pytest.mark.parametrize("code", ["2", "256", "-1", "two"])
def test_an_exit_code_that_is_none_or_is_of_no_script_of_ones_own(
    refused: Run, command: tuple[str, ...], code: str
) -> None:
    refused(*command, "--exit", code)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--of", "fixed", "k* s*"),
        ("--from", "nowhere"),
        ("--from", "results", "1"),
        ("--from", "results", "--script", "save.sh"),
        ("--from", "results", "--backend", "legacy"),
        ("--from", "results", "--prepare", "save.sh"),
        ("--from", "results", "--boot"),
        ("--from", "results", "--exit", "0"),
        ("--from", "results", "--image", "a"),
    ],
)
def test_what_no_replay_takes(refused: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "results").mkdir()
    refused("replay", *words)


@pytest.mark.parametrize(
    "kubelet", ["1.2.3", "v1.2.3", "1.34", "latest", "nowhere", ".", "", "k" * 300, "a\0b"]
)
@pytest.mark.parametrize("command", ["run", "explore", "check"])
def test_what_is_no_kubelet(refused: Run, command: str, kubelet: str) -> None:
    assert "kubelet" in refused(command, "--kubelet", kubelet)


@pytest.mark.parametrize("kubelet", ["1.34", "latest", "1.2.3"])
def test_which_kubelets_there_are_is_said(refused: Run, kubelet: str) -> None:
    assert "1.34.4, 1.36.3" in refused("check", "--kubelet", kubelet)


PROGRAMS = {
    "nothing in it": b"",
    "the begin of a program": b"\x7fELF\2\1\1",
    "text": b"1.34.4\n",
    "a picture": b"\x89PNG\r\n",
    "a script": b"#!/bin/sh\necho Kubernetes v1.34.4\n",
}


@pytest.mark.parametrize("content", PROGRAMS.values(), ids=PROGRAMS.keys())
@pytest.mark.parametrize("words", [("run", "--kubelet"), ("kubelets", "1.34.4")])
def test_what_no_machine_runs_as_a_kubelet(
    refused: Run, tmp_path: Path, words: tuple[str, ...], content: bytes
) -> None:
    (tmp_path / "kubelet").write_bytes(content)
    assert "is no program" in refused(*words, str(tmp_path / "kubelet"))


def test_a_kubelet_for_another_processor(refused: Run, tmp_path: Path) -> None:
    (tmp_path / "kubelet").write_bytes(elf(machine=183))
    assert "another processor" in refused("run", "--kubelet", "kubelet")


def test_a_kubelet_that_is_larger_than_any(refused: Run, tmp_path: Path) -> None:
    with (tmp_path / "kubelet").open("wb") as file:
        file.write(elf())
        file.truncate(2**30 + 1)
    assert "is larger than 1 GiB" in refused("run", "--kubelet", "kubelet")


@pytest.mark.parametrize("version", ["9.9.9", "", "nowhere", "../..", "1.34", "\udcff"])
def test_a_version_that_is_not_there_is_told_before_the_first_is_built(
    refused: Run, version: str
) -> None:
    assert "kubelet" in refused("kubelets", "1.34.4", version)


MITIGATIONS = {
    "no text": "about = '\xe9'",
    "arrays without an end": "about = " + "[" * 5000,
    "a long number": "about = " + "9" * 5000,
    "too many preemptions": "about = 'a'\ncosts = 'b'\npreemptions = 1000001",
    "no toml": "about =",
    "no words": "",
    "an unknown key": "about = 'a'\ncosts = 'b'\nprice = 3",
    "a number for a text": "about = 1\ncosts = 'b'",
}


@pytest.mark.parametrize("text", MITIGATIONS.values(), ids=MITIGATIONS.keys())
def test_what_is_no_remedy(refused: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "mitigation.toml").write_text(text, encoding="latin-1")
    (tmp_path / "script.sh").write_text("#!/bin/sh\n")
    refused("mitigations", str(tmp_path))


@pytest.fixture
def remedy(tmp_path: Path) -> Path:
    """A remedy that can be run."""
    folder = tmp_path / "remedy"
    folder.mkdir()
    (folder / "mitigation.toml").write_text("about = 'a'\ncosts = 'b'\n")
    (folder / "script.sh").write_text("#!/bin/sh\n")
    return folder


@pytest.mark.parametrize("name", ["script.sh", "prepare.sh", "mitigation.toml"])
@pytest.mark.parametrize("kind", ["text", "folder", "pipe", "link"])
def test_a_remedy_without_its_files(refused: Run, remedy: Path, name: str, kind: str) -> None:
    file = remedy / name
    file.unlink(missing_ok=True)
    if kind == "text":
        file.write_text("echo")
    elif kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to("nowhere")
    refused("mitigations", str(remedy))


def test_the_same_remedy_twice(refused: Run, remedy: Path) -> None:
    assert "two mitigations are called remedy" in refused("mitigations", str(remedy), f"{remedy}/.")


@pytest.mark.parametrize("name", ["kubelets", "mitigations"])
@pytest.mark.parametrize("text", ["{", "3", '[{"x": 1}]', "[3]"])
def test_what_no_table_can_be_drawn_from(
    refused: Run, tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / f"{name}.json").write_text(text)
    refused(name, "--draw", str(tmp_path))


@pytest.mark.parametrize("command", [("run",), ("explore",), ("replay", "k* s*")])
@pytest.mark.parametrize("option", ["--script", "--prepare"])
def test_a_script_without_an_end(
    refused: Run, tmp_path: Path, command: tuple[str, ...], option: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for file in ("pipe", "/dev/zero"):
        refused(*command, option, file)


@pytest.mark.parametrize("command", [("run",), ("explore",), ("replay", "k* s*")])
@pytest.mark.parametrize("what", ["file", "link", "latest"])
def test_results_that_could_not_be_kept(
    refused: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command: tuple[str, ...],
    what: str,
) -> None:
    place = tmp_path / "results"
    if what == "file":
        place.write_text("")
    elif what == "link":
        place.symlink_to("nowhere")
    else:
        (place / "latest").mkdir(parents=True)
    monkeypatch.setattr(Paths, "results", place)
    assert "move it away" in refused(*command)


@pytest.mark.parametrize("name", ["kubelets", "mitigations"])
def test_a_page_that_cannot_be_written(
    refused: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr("chainrace.cli.compare.rows.merged", lambda *_, **__: [])
    monkeypatch.setattr(f"chainrace.cli.compare.{name}_report.draw", lambda _: "")
    monkeypatch.setattr("chainrace.cli.compare.Paths", lambda: Paths(tmp_path / "away"))
    assert "cannot be written" in refused(name, "--draw", str(tmp_path))
