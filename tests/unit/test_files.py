"""Files that are there whole or not at all: also after a crash of the host, also beside others."""

import os
import stat
from pathlib import Path

import pytest

from chainrace.base.files import link_whole, write_json, write_whole
from chainrace.host import recipe


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done to files, in order: `fsync NAME`, `rename NAME`."""
    order: list[str] = []
    fsync, replace, rename = os.fsync, Path.replace, Path.rename

    def synced(descriptor: int) -> None:
        order.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def replaced(self: Path, target: Path) -> Path:
        order.append(f"rename {target.name}")
        return replace(self, target)

    def renamed(self: Path, target: Path) -> Path:
        order.append(f"rename {target.name}")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    monkeypatch.setattr(Path, "rename", renamed)
    return order


def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, done: list[str]) -> None:
    write_json(tmp_path / "a.json", {"x": 1})
    assert done == [f"fsync .a.json.{os.getpid()}.partial", "rename a.json"]
    assert (tmp_path / "a.json").read_text() == '{\n  "x": 1\n}\n'


def test_what_is_built_is_on_the_disk_before_it_gets_its_name(
    tmp_path: Path, done: list[str]
) -> None:
    def build(folder: Path) -> None:
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "kubelet").write_text("x")
        (folder / "nowhere").symlink_to("/nowhere")

    recipe.build_once(tmp_path / "thing", build)
    assert done == ["fsync kubelet", "rename thing"]


def test_a_write_that_fails_leaves_the_file_of_before_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a"
    write_whole(file, "before")

    def fail(_: int) -> None:
        raise OSError(5, "input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="input/output"):
        write_whole(file, "after")
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_two_processes_that_write_a_file_do_not_take_each_others_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, me = tmp_path / "a", os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: me + 1)
    other = file.with_name(f".a.{me}.partial")
    other.write_text("half of ano")
    write_whole(file, "mine")
    assert file.read_text() == "mine"
    assert other.read_text() == "half of ano"


def test_a_link_is_replaced_and_what_it_led_to_stays(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("theirs")
    (tmp_path / "a").symlink_to("elsewhere")
    write_whole(tmp_path / "a", "mine")
    assert (tmp_path / "elsewhere").read_text() == "theirs"
    assert stat.S_ISREG((tmp_path / "a").lstat().st_mode)


def test_a_link_leads_somewhere_at_every_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    latest, replace = tmp_path / "latest", Path.replace
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
    link_whole(latest, "1")

    def replaced(self: Path, target: Path) -> Path:
        assert target.readlink() == Path("1")
        assert self.readlink() == Path("2")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replaced)
    link_whole(latest, "2")
    assert latest.readlink() == Path("2")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["1", "2", "latest"]
