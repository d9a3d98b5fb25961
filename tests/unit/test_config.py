from pathlib import Path

import pytest

from chainrace.config import LabConfig, NodeConfig, line_of, load
from chainrace.errors import UsageError
from chainrace.paths import REPOSITORY


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
        ("[[scenario]]\nname = 'a'\nevidence = ['hearsay']", "'exploration', 'trials' or 'reboot'"),
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
        (("scenario", 1, "script"), None),
        (("other",), 12),
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
"""
    assert line_of(text, keys) == line


def test_an_error_names_file_line_and_what_is_allowed(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text("[node]\ncpus = 2\nbakend = 'nft'\n")
    with pytest.raises(UsageError) as caught:
        load(file)
    assert caught.value.what.startswith(f"{file}:3: node.bakend: ")
    assert caught.value.remedy == "the keys there are backend, cpus, memory_mib"
