from pathlib import Path

import pytest

from chainrace.config import LabConfig, NodeConfig, load
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
    with pytest.raises(UsageError, match="cannot be read"):
        load(file)
