from pathlib import Path

import pytest

from chainrace.base.errors import UsageError
from chainrace.base.paths import REPOSITORY
from chainrace.settings.config import LabConfig, NodeConfig, load
from chainrace.settings.mistakes import line_of


def test_without_a_file_the_outages_defaults_hold(tmp_path: Path) -> None:
    assert load(tmp_path / "lab.toml") == LabConfig()


def test_the_projects_own_file_says_the_defaults() -> None:
    assert load(REPOSITORY / "lab.toml") == LabConfig()


def test_a_backend_given_goes_before_the_files(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text("[node]\nbackend = 'nft'\ncpus = 1\n")
    assert load(file, backend="legacy").node == NodeConfig(backend="legacy", cpus=1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[node]\nbackend = 'ebtables'", "node.backend"),
        ("[node]\nmemory_mib = 12", "node.memory_mib"),
        ("[node]\ncpus = 'two'", "node.cpus"),
        ("[kubelet]\nversion = 'latest'", "kubelet.version"),
        ("[kubelt]\nversion = '1.34.4'", "kubelt"),
        ("[limits]\ntrial = 0", "limits.trial"),
        ("[node", "not TOML"),
        ("node = 3", "node"),
        ("[[scenario]]\nname = 'Über'", "scenario.0.name"),
        ("[[scenario]]\nbackend = 'nft'", "scenario.0.name"),
        ("[[scenario]]\nname = 'a'\nbudget = 'soon'", "scenario.0.budget.*no duration"),
        ("[[scenario]]\nname = 'a'\nevidence = []", "scenario.0.evidence.*at least one"),
        ("[[scenario]]\nname = 'a'\nevidence = ['exploration', 'exploration']", "once"),
        ("[[scenario]]\nname = 'a'\nevidence = ['hearsay']", "'trials', 'reboot' or 'cluster'"),
        ("[[scenario]]\nname = 'a'\nevidence = ['cluster', 'trials']", "cluster stands alone"),
        (
            "[[scenario]]\nname = 'a'\nevidence = ['cluster']\nbudget = '5m'",
            "goes without budget and prepare",
        ),
        ("[[scenario]]\nname = 'a'\n[[scenario]]\nname = 'a'", "two scenarios are called a"),
        ("scenario = []", "no scenario at all"),
    ],
)
def test_what_is_not_allowed_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        load(file)
    assert str(file) in caught.value.what
    assert caught.value.exit_code == 2


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is no text"):
        load(file)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("node", "cpus"), 2),
        (("scenario", 0, "name"), 5),
        (("scenario", 1, "name"), 9),
        (("scenario", 1, "evidence", 1), 10),
        (("scenario", 1), 8),
        (("scenario", 1, "script"), 8),
        (("other",), 12),
        (("image", "bus"), 16),
        (("scenario", 2, "image", "path"), 21),
        (("scenario", 3, "image", "user"), 24),
        (("nowhere",), None),
    ],
)
def test_a_key_is_found_by_its_line(keys: tuple[str | int, ...], line: int | None) -> None:
    text = """[node]
cpus = 2

[[scenario]]
name = "a"
backend = "nft"

[[ scenario ]] # the second
name = "b"
evidence = ["exploration", "hearsay"]

[other]

[image]
path = "a"
bus = "ide"

[[scenario]]
name = "c"
[scenario.image]
path = 7
[[scenario]]
name = "d"
image = { path = "a", user = 7 }
"""
    assert line_of(text, keys) == line


@pytest.mark.parametrize(
    ("text", "said", "remedy"),
    [
        ("[node]\ncpus = 'two'", ":2: node.cpus: write a whole number (it says 'two')", ""),
        ("[node]\ncpus = 0", "write 1 or more", ""),
        ("[node]\nbackend = 'ebpf'", "write 'nft' or 'legacy'", ""),
        ("[kubelet]\nversion = 'new'", "write a text like 1.34.4", ""),
        ("[[scenario]]\nname = 'A B'", "write a text like outage-1.36", ""),
        ("[[scenario]]\nbackend = 'nft'", ":1: scenario.0.name: it is missing", ""),
        ("[image]\npath = ''", "write a text that is not empty", ""),
        ("[kubelet]\nversion='1.34.4'\npath='k'", "a version and a path are two kubelets", ""),
        ("node = 7", ":1: node: write a table", ""),
        (
            "[[scenario]]\nname = 'a'\nimage = { path = 'a', uzer = 'b' }",
            ":3: scenario.0.image.uzer: there is no such key",
            "the keys there are path, user, key, bus",
        ),
        ("[knode]", ":1: knode: there is no such key", "node, image, kubelet, limits, scenario"),
    ],
)
def test_an_error_is_said_in_words(tmp_path: Path, text: str, said: str, remedy: str) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        load(file)
    assert said in caught.value.what
    assert remedy in caught.value.remedy
    assert "Input" not in caught.value.what


def test_a_version_may_have_its_v(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text("[kubelet]\nversion = 'v1.34.4'\n")
    assert load(file).kubelet.version == "1.34.4"


def test_an_error_names_file_line_and_what_is_allowed(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text("[node]\ncpus = 2\nbakend = 'nft'\n")
    with pytest.raises(UsageError) as caught:
        load(file)
    assert caught.value.what.startswith(f"{file}:3: node.bakend: ")
    assert (
        caught.value.remedy == "the keys there are backend, cpus, memory_mib, packages, api_server"
    )
