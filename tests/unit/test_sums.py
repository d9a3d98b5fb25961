"""What nodes are made from: root's, read only, and what it was when it was built."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.host import image, sums

FILES = ("root.raw", "vmlinuz")
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes files root's, and changes them")


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder as a build leaves it."""
    for name in FILES:
        (tmp_path / name).write_text(f"the {name}")
    sums.write(tmp_path, FILES)
    return tmp_path


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all files that are hashed from now on."""
    names: list[str] = []
    digest = hashlib.file_digest

    def watched(file: object, kind: str) -> object:
        names.append(Path(file.name).name)  # type: ignore[attr-defined]
        return digest(file, kind)  # type: ignore[arg-type]

    monkeypatch.setattr(hashlib, "file_digest", watched)
    return names


def test_the_hashes_are_as_sha256sum_takes_them(built: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", sums.NAME], cwd=built, check=True)
    assert sums.read(built)["root.raw"] == hashlib.sha256(b"the root.raw").hexdigest()


def test_what_was_built_becomes_roots_and_read_only(built: Path) -> None:
    sums.verify(built)
    for name in FILES:
        about = (built / name).stat()
        assert (about.st_uid, about.st_gid, about.st_mode & 0o7777) == (0, 0, 0o444)


def test_a_file_is_hashed_once(built: Path, hashed: list[str]) -> None:
    sums.verify(built)
    assert hashed == list(FILES)
    sums.verify(built)
    assert hashed == list(FILES)


@pytest.mark.parametrize("how", ["contents", "contents and mtime", "inode", "mode", "longer"])
def test_a_file_that_changed_in_any_way_is_hashed_again(
    built: Path, hashed: list[str], how: str
) -> None:
    sums.verify(built)
    hashed.clear()
    file = built / "root.raw"
    before = file.stat()
    file.chmod(0o644)
    if how == "inode":
        (built / "other").write_text("tha root.raw")
        (built / "other").replace(file)
    elif how == "longer":
        file.write_text("the root.raw and more")
    elif how != "mode":
        file.write_text("tha root.raw")
    if how in ("contents and mtime", "inode"):
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    if how == "mode":
        sums.verify(built)
    else:
        with pytest.raises(LabError, match=r"the sha256 of root\.raw is [0-9a-f]{64}, not") as told:
            sums.verify(built)
        assert str(built) in told.value.remedy
        with pytest.raises(LabError, match="is not what was built"):  # it is not forgotten
            sums.verify(built)
    assert hashed[0] == "root.raw"
    assert "vmlinuz" not in hashed


def test_a_file_that_qemus_user_owned_is_roots_again_and_hashed(
    built: Path, hashed: list[str]
) -> None:
    sums.verify(built)
    hashed.clear()
    os.chown(built / "vmlinuz", 64055, 64055)
    sums.verify(built)
    assert hashed == ["vmlinuz"]
    assert (built / "vmlinuz").stat().st_uid == 0


@pytest.mark.parametrize("record", ["", "[]", "{", "null", '{"root.raw": 3}', "\x00"])
def test_a_record_that_is_damaged_means_that_nothing_was_verified(
    built: Path, hashed: list[str], record: str
) -> None:
    sums.verify(built)
    hashed.clear()
    (built / sums.VERIFIED).write_text(record)
    sums.verify(built)
    assert hashed == list(FILES)


@pytest.mark.parametrize("text", [None, "x", "abc root.raw\n", "\xff\xfe"])
def test_a_build_without_its_hashes_is_told(built: Path, text: str | None) -> None:
    (built / sums.NAME).unlink()
    if text is not None:
        (built / sums.NAME).write_bytes(text.encode("latin-1"))
    with pytest.raises(LabError, match="is not what was built: SHA256SUMS"):
        sums.verify(built)


def test_a_build_without_one_of_its_files_is_told(built: Path) -> None:
    (built / "vmlinuz").unlink()
    with pytest.raises(LabError, match="vmlinuz: No such file"):
        sums.verify(built)


def test_an_image_that_is_another_by_now_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths(tmp_path)
    monkeypatch.setattr(image, "current", lambda *_: paths.store / "image-1")
    folder = paths.store / "image-1"
    folder.mkdir(parents=True)
    for name in image.FILES:
        (folder / name).write_text(name)
    sums.write(folder, image.FILES)
    assert image.ensure(paths).folder == folder
    (folder / "initrd.img").chmod(0o644)
    (folder / "initrd.img").write_text("INITRD.IMG")
    with pytest.raises(LabError, match=r"the sha256 of initrd\.img"):
        image.ensure(paths)
