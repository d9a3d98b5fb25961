"""Images of the user's own: what they are, what is refused, how they boot."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from chainrace.base.errors import LabError, UsageError
from chainrace.base.paths import Paths
from chainrace.host import own_image, seed, setup
from chainrace.host.image import Image
from chainrace.settings.config import ImageConfig, LabConfig

needs_qemu_img = pytest.mark.skipif(not shutil.which("qemu-img"), reason="./lab setup installs it")
MIB = 2**20
# EFI system, BIOS boot, Linux filesystem: their GUIDs as `sfdisk` writes them.
EFI, BIOS, LINUX = "U", "21686148-6449-6E6F-744E-656564454649", "L"


def gpt(*kinds: str) -> bytes:
    """The head of a disk with such partitions, as the UEFI specification has it on disk."""
    guids = {
        EFI: bytes.fromhex("28732ac11ff8d211ba4b00a0c93ec93b"),
        BIOS: bytes.fromhex("4861682149646f6e744e656564454649"),
        LINUX: bytes.fromhex("af3dc60f838472478e793d69d8477de4"),
    }
    entries = b"".join(guids[kind] + bytes(112) for kind in kinds)
    return mbr() + b"EFI PART" + bytes(504) + entries.ljust(32 * 512, b"\0")


def mbr(kind: int = 0, *, loader: bool = False) -> bytes:
    table = bytearray(512)
    table[0] = loader
    table[450] = kind
    table[510:] = b"\x55\xaa"
    return bytes(table)


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (gpt(EFI, LINUX), "uefi"),
        (gpt(EFI, BIOS, LINUX), "bios"),
        (gpt(LINUX), "bios"),
        (mbr(0x83, loader=True), "bios"),
        (mbr(0xEF), "uefi"),
        (mbr(0xEF, loader=True), "bios"),
    ],
)
def test_the_partition_table_says_which_firmware_the_boot_loader_asks_for(
    head: bytes, wanted: str
) -> None:
    assert own_image.firmware_of(head) == wanted


def test_a_disk_without_a_partition_table_does_not_boot_by_itself() -> None:
    with pytest.raises(UsageError, match="no partition table"):
        own_image.firmware_of(bytes(34 * 512))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A disk of 4 MiB that boots by UEFI, as far as its table tells."""
    file = tmp_path / "disk.raw"
    file.write_bytes(gpt(EFI, LINUX).ljust(4 * MIB, b"\0"))
    return file


def convert(file: Path, name: str, *options: str) -> Path:
    target = file.with_name(name)
    subprocess.run(["qemu-img", "convert", "-f", "raw", *options, file, target], check=True)
    return target


@needs_qemu_img
@pytest.mark.parametrize(
    ("options", "form"),
    [
        (["-O", "raw"], "raw"),
        (["-O", "qcow2"], "qcow2"),
        (["-O", "vhdx"], "vhdx"),
        (["-O", "vpc"], "vpc"),
        (["-O", "vpc", "-o", "subformat=fixed,force_size"], "vpc"),
    ],
)
def test_an_image_of_each_form_is_copied_once_as_it_is(
    paths: Paths, disk: Path, options: list[str], form: str
) -> None:
    image = ImageConfig(path=str(convert(disk, "image.any", *options)))
    before = Path(image.path).read_bytes()
    copied = own_image.ensure(paths, image)
    root = (copied.folder / "root.raw").read_bytes()
    assert root[: 4 * MIB] == disk.read_bytes()
    assert not any(root[4 * MIB :])  # a VHD's size may be rounded
    assert copied.identity["form"] == form
    assert copied.identity["file"] == "image.any"
    assert own_image.firmware(copied) == "uefi"
    assert copied.folder.stat().st_mode & 0o007 == 0
    assert copied.host_key.startswith("ssh-ed25519 ")
    assert own_image.ensure(paths, image) == copied
    assert Path(image.path).read_bytes() == before


@needs_qemu_img
def test_a_copy_is_roots_and_read_only_and_is_not_used_once_it_is_another(
    paths: Paths, disk: Path
) -> None:
    image = ImageConfig(path=str(disk))
    copy = own_image.ensure(paths, image).folder / "root.raw"
    assert (copy.stat().st_uid, copy.stat().st_mode & 0o777) == (0, 0o444)
    changed = copy.with_name("changed")
    changed.write_bytes(copy.read_bytes()[:-1] + b"x")
    changed.replace(copy)
    with pytest.raises(LabError, match=r"the sha256 of root\.raw is"):
        own_image.ensure(paths, image)


@needs_qemu_img
def test_only_the_newest_copy_of_a_file_is_kept(paths: Paths, disk: Path) -> None:
    other = ImageConfig(path=str(convert(disk, "other.qcow2", "-O", "qcow2")))
    kept = own_image.ensure(paths, other)
    old = own_image.ensure(paths, ImageConfig(path=str(disk)))
    disk.write_bytes(disk.read_bytes() + bytes(MIB))
    new = own_image.ensure(paths, ImageConfig(path=str(disk)))
    assert set(paths.store.glob("own-*")) == {kept.folder, new.folder}
    assert not old.folder.exists()


@needs_qemu_img
def test_an_image_that_leads_to_another_file_is_refused(paths: Paths, disk: Path) -> None:
    """A hostile one could have the lab read what is not the user's to give."""
    over = disk.with_name("over.qcow2")
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(disk), str(over)]
    subprocess.run(command, check=True)
    beside = disk.with_name("beside.qcow2")
    outside = f"data_file={disk.with_name('outside')}"
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", outside, str(beside), "4M"]
    subprocess.run(command, check=True)
    for file in (over, beside):
        with pytest.raises(UsageError, match="lies over another file"):
            own_image.ensure(paths, ImageConfig(path=str(file)))
    assert not list(paths.store.glob("*own-*"))


def differing_vhd() -> bytes:
    footer = bytearray(512)
    footer[:8] = b"conectix"
    footer[63] = 4
    return bytes(footer)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "neither qcow2"),
        (b"#!/bin/sh\n", "neither qcow2"),
        (bytes(4096), "neither qcow2"),
        (differing_vhd(), "lies over another"),
        (None, "is no file"),
    ],
)
def test_what_is_no_image_is_wrong_usage(paths: Paths, content: bytes | None, told: str) -> None:
    file = paths.root / "image"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=told):
        own_image.check(paths, ImageConfig(path=str(file)))


@needs_qemu_img
@pytest.mark.parametrize("head", [b"QFI\xfb", b"vhdxfile"])
def test_an_image_that_is_cut_off_is_wrong_usage(paths: Paths, head: bytes) -> None:
    file = paths.root / "image"
    file.write_bytes(head + bytes(100))
    with pytest.raises(UsageError, match="image: "):
        own_image.ensure(paths, ImageConfig(path=str(file)))
    assert not list(paths.store.glob("*own-*"))


@needs_qemu_img
def test_a_disk_on_which_nothing_boots_is_refused_before_it_is_copied(paths: Paths) -> None:
    bare = paths.root / "bare.raw"
    bare.write_bytes(bytes(4 * MIB))
    image = ImageConfig(path=str(convert(bare, "bare.qcow2", "-O", "qcow2")))
    with pytest.raises(UsageError, match="no partition table"):
        own_image.ensure(paths, image)
    assert not list(paths.store.glob("*own-*"))


def test_a_key_that_is_not_there_is_wrong_usage(paths: Paths, disk: Path) -> None:
    with pytest.raises(UsageError, match="no-key is no file"):
        own_image.check(paths, ImageConfig(path=str(disk), user="me", key="no-key"))


def test_an_image_names_the_options_that_a_command_is_told_it_by() -> None:
    assert ImageConfig(path="a").options == ("--image", "a")
    whole = ImageConfig(path="a", user="me", key="id", bus="sata")
    said = ("--image", "a", "--user", "me", "--key", "id", "--bus", "sata")
    assert whole.options == said


@pytest.fixture
def copied(paths: Paths) -> Image:
    folder = paths.store / "own-1"
    folder.mkdir(parents=True)
    (folder / "root.raw").write_bytes(gpt(EFI, LINUX))
    (folder / "ssh_host_ed25519_key").write_text("PRIVATE")
    (folder / "ssh_host_ed25519_key.pub").write_text("ssh-ed25519 PUBLIC node\n")
    return Image(folder)


def test_the_seed_lets_the_labs_key_in_and_brings_a_host_key_that_it_knows(
    copied: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, str]] = []

    def made(command: list[str], **_: Any) -> str:
        tree = Path(command[-1])
        seen.append({file.name: file.read_text() for file in tree.iterdir()})
        assert "cidata" in command
        Path(command[-2]).touch()
        return ""

    monkeypatch.setattr(seed, "run", made)
    inside = seed.ensure(copied, "ssh-ed25519 MINE")
    assert seed.ensure(copied, "ssh-ed25519 MINE") == inside
    assert len(seen) == 1
    assert seen[0]["user-data"].startswith("#cloud-config\n")
    for said in ("ssh-ed25519 MINE", "PRIVATE", "ssh-ed25519 PUBLIC"):
        assert said in seen[0]["user-data"]


def boot_of(copied: Image, image: ImageConfig | None) -> dict[str, str]:
    return setup._boot(LabConfig(image=image), copied, "ssh-ed25519 MINE", kvm=True)  # noqa: SLF001


def test_the_labs_image_boots_by_its_kernel_and_another_by_itself(
    copied: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seed, "ensure", lambda *_: "seed.iso")
    assert boot_of(copied, None).keys() == {"kernel", "initrd", "cmd_line"}
    own = boot_of(copied, ImageConfig(path="a"))
    assert own == {"bus": "virtio", "loader": own_image.UEFI, "seed": "seed.iso"}
    by_key = boot_of(copied, ImageConfig(path="a", user="me", key="id", bus="sata"))
    assert by_key == {"bus": "sata", "loader": own_image.UEFI}
