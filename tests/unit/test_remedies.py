from pathlib import Path

import pytest

from chainrace.errors import UsageError
from chainrace.paths import REPOSITORY
from chainrace.remedies import load
from chainrace.report import remedies

FOLDER = REPOSITORY / "examples" / "remedies"


@pytest.mark.parametrize("name", sorted(one.name for one in FOLDER.iterdir()))
def test_every_remedy_of_ours_can_be_read_and_run(name: str) -> None:
    found = load(FOLDER / name)
    assert found.name == name
    for file in (found.script, found.prepare):
        assert file is None or file.stat().st_mode & 0o111


def test_a_folder_with_a_wrong_key_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "remedy.toml").write_text('about = "a"\ncosts = "b"\nsafe = true\n')
    with pytest.raises(UsageError, match="is no remedy"):
        load(tmp_path)


def test_the_page_has_a_line_for_each() -> None:
    assert remedies.draw(["| a |", "| b |"]).endswith("| --- |\n| a |\n| b |\n")
