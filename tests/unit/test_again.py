"""A finding is run again from its results alone: script, node and schedule are those of then."""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chainrace.base.errors import UsageError
from chainrace.base.paths import REPOSITORY, Paths
from chainrace.cli import explore as commands
from chainrace.cli import main
from chainrace.explore.scripts import Script, unit_as_script
from chainrace.model.mode import RULES_LOST
from chainrace.model.subject import Subject
from chainrace.node.node import Node
from chainrace.report import verdict
from chainrace.report.explored import ExplorationFolder
from chainrace.report.made_by import Kept
from chainrace.report.results import Asked, ResultsFolder, judge_again, write_verdict
from chainrace.run import origin
from chainrace.run.again import Again, again
from chainrace.run.origin import as_typed, origin_of
from chainrace.settings.config import ImageConfig, KubeletConfig, LabConfig, NodeConfig
from chainrace.subjects.docker.subject import SUBJECT as DOCKER
from tests.unit.explorations import HARMED, ORIGIN
from tests.unit.test_explored import SOUND, finding

MINE = Kept(b"#!/bin/sh\niptables -F\n", expect=2)
# lab.toml says other things today than the results do.
TODAY = LabConfig(
    node=NodeConfig(backend="legacy", cpus=4),
    image=ImageConfig(path="/today.qcow2"),
    kubelet=KubeletConfig(version="1.36.3"),
)


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """An exploration of the outage's two scripts; the original has two findings."""
    folder = ExplorationFolder(tmp_path)
    folder.made_by(ORIGIN)
    more = replace(finding("s1 k3 s* k*", RULES_LOST), family="ipv6")
    original = replace(HARMED, findings=(*HARMED.findings, more))
    folder.conclude({"fixed": SOUND, "original": original}, {}, interrupted=False)
    return folder.path


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """A run of one's own script in the fix's place, on an image of one's own."""
    image = ("--image", "my image", "--user", "me", "--key", "/id")
    folder = ResultsFolder(tmp_path, Asked("mine", "mine.sh", ("exploration",), image))
    folder.made_by(
        replace(ORIGIN, kubelet=None, backend="legacy", prepare=None, scripts={"mine.sh": MINE})
    )
    folder.exploration(replace(HARMED, script="mine.sh"))
    write_verdict(folder.path, judge_again(folder.path), {}, interrupted=False)
    return folder.path


def test_the_first_finding_is_run_again_with_nothing_else_to_type(both: Path) -> None:
    found = again(both, None, None, TODAY)
    assert (found.name, str(found.schedule)) == ("original", "s1 k2 s* k*")
    assert found.found == "1: original, ipv4: init_failed (s1 k2 s* k*)"
    assert found.script is not None
    assert found.script.read_bytes() == ORIGIN.scripts["original"].text
    assert found.prepare is not None
    assert found.prepare.read_bytes() == ORIGIN.prepare
    assert not found.boot


def test_another_finding_is_named_by_its_number(both: Path) -> None:
    found = again(both, "2", None, TODAY)
    assert str(found.schedule) == "s1 k3 s* k*"
    assert "ipv6: rules_lost" in found.found


def test_the_node_is_as_it_was_and_not_as_lab_toml_has_it_today(both: Path, one: Path) -> None:
    config = again(both, None, None, TODAY).config
    assert (config.image, config.kubelet.name, config.backend) == (None, "1.34.4", "nft")
    assert config.node.cpus == 4
    own = again(one, None, None, TODAY)
    assert own.config.image == ImageConfig(path="my image", user="me", key="/id")
    assert not own.config.kubelet.asked
    assert own.config.backend == "legacy"
    assert own.expect == 2
    assert own.prepare is None


def test_a_schedule_of_ones_own_overrides_the_finding(both: Path, one: Path) -> None:
    found = again(both, "k1 s* k*", None, TODAY)
    assert (found.name, str(found.schedule), found.found) == ("original", "k1 s* k*", "")
    assert again(both, "k1 s* k*", "fixed", TODAY).name == "fixed"
    assert again(one, "k1 s* k*", None, TODAY).name == "mine.sh"


def test_a_schedule_that_says_it_is_of_others_is_refused_before_any_node(one: Path) -> None:
    found = again(one, "k1 s* k*", None, TODAY)
    found.refuse_unfit()
    race = str(found.race)
    assert race.startswith("kubelet beside mine.sh@")
    again(one, f"{race}: k1 s* k*", None, TODAY).refuse_unfit()
    for other in (race[:-12] + "ffffffffffff", race.replace("kubelet", "docker")):
        with pytest.raises(UsageError, match=r"the schedule is of .* was named"):
            again(one, f"{other}: k1 s* k*", None, TODAY).refuse_unfit()
    lab = replace(found, script=None, name="", boot=False)
    assert str(lab.race).startswith("kubelet beside original@")
    assert str(replace(lab, boot=True).race).startswith("kubelet beside boot@")
    # As an exploration of the same file calls it.
    assert str(replace(lab, script=found.script).race).startswith(
        f"kubelet beside {cast('Path', found.script).name}@"
    )


def test_a_finding_that_is_not_there_is_told_with_those_that_are(both: Path) -> None:
    for number in ("3", "0", "99"):
        with pytest.raises(UsageError, match=f"no finding {number}") as told:
            again(both, number, None, TODAY)
        assert "1: original, ipv4: init_failed (s1 k2 s* k*); 2: original" in told.value.remedy
    with pytest.raises(UsageError, match="no finding of fixed") as told:
        again(both, None, "fixed", TODAY)
    assert "give a schedule" in told.value.remedy


@pytest.mark.parametrize("name", ["scripts/original", "prepare"])
def test_a_file_that_is_not_what_was_run_then_is_refused(both: Path, name: str) -> None:
    with (both / name).open("ab") as file:
        file.write(b"reboot\n")
    with pytest.raises(UsageError, match="is not what was run then"):
        again(both, None, None, TODAY)
    (both / name).unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        again(both, None, None, TODAY)


def test_a_script_that_is_not_kept_is_told_with_those_that_are(both: Path) -> None:
    with pytest.raises(UsageError, match=r"keeps no script mine\.sh") as told:
        again(both, "k* s*", "mine.sh", TODAY)
    assert "fixed, original" in told.value.remedy


def test_what_is_no_schedule_and_no_number_is_refused(both: Path) -> None:
    for what in ("q1 s*", "-1", "", "1 2"):
        with pytest.raises(UsageError):
            again(both, what, None, TODAY)


def test_results_of_an_earlier_version_keep_no_script(tmp_path: Path) -> None:
    folder = ExplorationFolder(tmp_path)
    folder.conclude({"original": HARMED}, {}, interrupted=False)
    with pytest.raises(UsageError, match="keeps no script"):
        again(folder.path, None, None, TODAY)


def test_results_that_name_no_image_that_can_be_are_refused(one: Path) -> None:
    file = one / "verdict.json"
    document = json.loads(file.read_text())
    for options in (["--image"], ["--bus", "sata"], ["--image", "a", "--user", "me"], ["-x", "y"]):
        file.write_text(json.dumps({**document, "options": options}))
        if options == ["--image"]:
            assert again(one, None, None, TODAY).config.image is None
            continue
        with pytest.raises(UsageError, match="name no image that can be"):
            again(one, None, None, TODAY)


def test_no_name_in_a_verdict_leads_out_of_its_folder(both: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("#!/bin/sh\n")
    file = both / "verdict.json"
    document = json.loads(file.read_text())
    document["made_by"]["scripts"] = {"../../secret": document["made_by"]["scripts"]["original"]}
    file.write_text(json.dumps(document))
    with pytest.raises(UsageError, match=r"scripts/_\.\._secret cannot be read"):
        again(both, "k* s*", "../../secret", TODAY)


@pytest.mark.parametrize("results", ["both", "one"])
def test_every_command_that_results_print_is_one_that_can_be_run(
    results: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(results)
    document = verdict.read(folder)
    numbered = verdict.findings_in(document)
    assert numbered
    for found in numbered:
        told = shlex.split(verdict.again(document, folder, found))
        assert told == ["./lab", "replay", "--from", str(folder.resolve()), str(found.number)]
        assert again(Path(told[3]), told[4], None, TODAY).found == str(found)
        script = found.script
        words = shlex.split(verdict.replay_of(document, folder, script, "k1 s* k*"))
        of = words[5] if "--of" in words else None
        assert again(Path(words[3]), words[-1], of, TODAY).name == script


def test_results_in_the_clone_are_named_as_one_types_them() -> None:
    assert verdict.shown(REPOSITORY / "results" / "x") == "results/x"
    assert verdict.shown(Path("/elsewhere/x")) == "/elsewhere/x"


def node_with(files: dict[str, bytes]) -> Node:
    """A made-up node that has some files: the edge is its connection."""

    def succeed(command: str) -> str:
        from base64 import b64encode  # noqa: PLC0415

        program, path = shlex.split(command)
        assert program == "base64"
        return b64encode(files[path]).decode()

    connection = SimpleNamespace(succeed=succeed)
    return cast("Node", SimpleNamespace(connection=connection, identity={"backend": "nft"}))


def test_what_results_keep_is_what_lies_on_the_node_byte_for_byte(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["/x/chainrace/__main__.py", "explore", "--script", "a b"])
    text = b"#!/bin/sh\n\xff\x00 a\r\n"
    node = node_with({"/it's": text, "/usr/local/lib/chainrace/prepare": b"#!/bin/sh\n"})
    script = Script("a b", "/it's", "", prepared="0123", expect=3)
    made = origin_of(LabConfig(), node, [script])
    assert made.scripts == {"a b": Kept(text, expect=3)}
    assert made.prepare == b"#!/bin/sh\n"
    assert made.command == ("./lab", "explore", "--script", "a b")
    assert (made.kubelet, made.backend) == ("1.34.4", "nft")


def test_a_kubelet_of_ones_own_is_named_by_its_whole_path_and_an_images_not_at_all() -> None:
    own = LabConfig(kubelet=KubeletConfig(path="my/kubelet"))
    assert origin_of(own, None, root=Path("/clone")).kubelet == "/clone/my/kubelet"
    assert origin_of(LabConfig(image=ImageConfig(path="a")), None).kubelet is None


def test_a_commit_that_cannot_be_had_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert origin_of(LabConfig(), None, root=tmp_path).commit == "unknown"
    said: dict[str, Any] = {"rev-parse": "0" * 40, "status": ""}
    monkeypatch.setattr(origin, "_git", lambda _, *words: said[words[0]])
    assert origin_of(LabConfig(), None).commit == "0" * 40
    said["status"] = " M chainrace/run/origin.py"
    assert origin_of(LabConfig(), None).commit == f"{'0' * 40} and changes"


def test_a_call_of_another_program_is_kept_as_it_was() -> None:
    assert as_typed(["pytest", "-k", "x"]) == ("pytest", "-k", "x")


def test_a_boot_of_then_is_begun_as_one_again(both: Path) -> None:
    found: Again = replace(again(both, None, None, TODAY), boot=True)
    brought = Script("original", "/own/abc", "abc", expect=0)
    assert found.as_it_was(brought) == replace(brought, boot=True)


GUARD = Subject(
    "guard",
    "guard.service",
    "true",
    "iptables -C INPUT -j GUARD",
    b"[Service]\n",
    packages=("ipset",),
    programs=("guardd",),
    prepare="mkdir /run/guard",
)


def test_two_subjects_are_raced_again_with_nothing_else_to_type(tmp_path: Path) -> None:
    folder = ExplorationFolder(tmp_path)
    folder.made_by(replace(ORIGIN, scripts={}, prepare=None, subject=GUARD, against=DOCKER))
    folder.conclude({"docker": replace(HARMED, script="docker")}, {}, interrupted=False)
    found = again(folder.path, None, None, TODAY)
    assert (found.subject, found.against, found.script) == (GUARD, DOCKER, None)
    assert found.config.node.packages == ["busybox-static", "docker-cli", "docker.io", "ipset"]
    assert found.name == "docker"
    assert str(found.race) == "guard beside docker"
    document = verdict.read(folder.path)
    (first, *_) = verdict.findings_in(document)
    assert verdict.again(document, folder.path, first).endswith(" 1")
    with pytest.raises(UsageError, match="keeps no script mine") as told:
        again(folder.path, "s2 d* s*", "mine", TODAY)
    assert told.value.remedy == "it has docker"


def test_a_unit_in_a_scripts_place_is_kept_as_that() -> None:
    made = origin_of(LabConfig(), node_with({}), [unit_as_script(GUARD)])
    assert (made.scripts, made.against) == ({}, GUARD)


def test_the_command_brings_what_the_results_keep_to_a_node_as_it_was(
    both: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told: dict[str, Any] = {}

    @contextmanager
    def node_up(_: object, config: LabConfig, *__: object) -> Iterator[None]:
        told["config"] = config
        yield None

    @contextmanager
    def scripts(_: object, file: Path, prepare: Path, **options: object) -> Iterator[list[Script]]:
        told.update(file=file, prepare=prepare, **options)
        yield [Script(file.name, "/own/abc", "abc")]

    def replay(_: object, config: LabConfig, __: object, **options: object) -> list[str]:
        told.update(options, again=config)
        return ["init_failed"]

    monkeypatch.setattr("chainrace.run.session.node_up", node_up)
    monkeypatch.setattr("chainrace.run.exploring.scripts", scripts)
    monkeypatch.setattr("chainrace.run.exploring.replay", replay)
    monkeypatch.setattr(commands, "check", lambda *_: ["original: it is odd"])
    monkeypatch.setattr(commands, "Paths", lambda: Paths(tmp_path))
    monkeypatch.setattr("sys.argv", ["lab", "replay", "--from", str(both), "2"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert told["file"] == both / "scripts" / "original"
    assert told["prepare"] == both / "prepare"
    assert told["script"].name == "original"
    assert str(told["schedule"]) == "s1 k3 s* k*"
    assert told["config"].backend == told["again"].backend == "nft"
    said = capsys.readouterr().out
    assert "note: original: it is odd" in said
    assert "finding 2: original, ipv6: rules_lost (s1 k3 s* k*)" in said
