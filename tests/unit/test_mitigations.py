from dataclasses import replace
from pathlib import Path

import pytest

from chainrace.base.errors import UsageError
from chainrace.base.paths import REPOSITORY
from chainrace.judge.compared import Compared
from chainrace.report import mitigations
from chainrace.run.mitigations import load

FOLDER = REPOSITORY / "examples" / "mitigations"


@pytest.mark.parametrize("name", sorted(one.name for one in FOLDER.iterdir()))
def test_every_remedy_of_ours_can_be_read_and_run(name: str) -> None:
    found = load(FOLDER / name)
    assert found.name == name
    for file in (found.script, found.prepare):
        assert file is None or file.stat().st_mode & 0o111


def test_a_folder_with_a_wrong_key_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "mitigation.toml").write_text('about = "a"\ncosts = "b"\nsafe = true\n')
    with pytest.raises(UsageError, match="is no mitigation"):
        load(tmp_path)


FIX = Compared(
    name="fix",
    backend="nft",
    about="no restart",
    costs="nothing",
    verdict="harmless",
    reason="",
    harm={},
    states=45,
    orders=133,
    preemptions=None,
    commands=2,
)
BAD = replace(
    FIX, name="bad", verdict="harmful", harm={"init_failed": "s1 k7 s* k*"}, preemptions=1
)


def test_the_page_says_of_each_whether_it_is_safe_and_what_that_covers() -> None:
    fix, bad = mitigations.draw([FIX, BAD]).splitlines()[-2:]
    assert fix == "| fix | nft | no restart | yes | 45 states, 133 orders | 2 | nothing |"
    assert "| **no** (init_failed: `s1 k7 s* k*`) | 45 states, up to 1 preemption |" in bad
