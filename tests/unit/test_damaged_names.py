"""Names that a stored run may have, however strange: nothing breaks by them."""

from pathlib import Path

import pytest

from chainrace.base.errors import UsageError
from chainrace.report import page, views
from chainrace.report.comparison import changes
from tests.unit.test_damaged_results import RUN, changed, stored


@pytest.mark.parametrize("name", ["\udcff", "a\nb", "\x1b[31m", "<b>", "&amp;", "x" * 255])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    views.draw(stored(tmp_path / name, RUN))
    assert b"\x1b" not in (tmp_path / name / page.NAME).read_bytes()
    assert len(list((tmp_path / name).iterdir())) == 4


@pytest.mark.parametrize("name", ["", "a\nb", "../..", "\x00", "x" * 1000, "<script>", "\uffff"])
def test_a_scenario_a_script_and_a_command_may_have_any_name(tmp_path: Path, name: str) -> None:
    for path in ("scenario.name", "scenario.script", "exploration.graphs.0.map.script"):
        views.draw(stored(tmp_path, changed(path, [name] if path.endswith("map.script") else name)))
        assert (tmp_path / page.NAME).read_text().count("<script>") == 1


def test_runs_of_different_things_are_told_in_one_line() -> None:
    with pytest.raises(UsageError, match="different things") as told:
        changes(RUN, changed("scenario.name", "a\nb"))
    assert "\n" not in told.value.what
