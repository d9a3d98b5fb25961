"""A node image of the user's own: any disk that boots by itself, copied into the lab's store.

The file is never written to, and QEMU never reads it but for this one copy: its form is known
by its own first bytes, and one that leads to other files is refused.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from hashlib import file_digest
from pathlib import Path
from typing import BinaryIO, Literal

from chainrace.base.errors import LabError, UsageError
from chainrace.base.files import read_input, write_json
from chainrace.base.paths import Paths
from chainrace.host import box, keys, libvirt, recipe, sums
from chainrace.host.image import Image
from chainrace.host.shell import as_root, run
from chainrace.settings.config import ImageConfig

Firmware = Literal["uefi", "bios"]
COPY_SECONDS = 3600
SPARE_BYTES = 2**30
# Debian's package ovmf. As ROM: a snapshot of a node has no place for pflash.
UEFI = "/usr/share/ovmf/OVMF.fd"
SECTOR = 512
BLOCK = 512  # st_blocks counts these, whatever the disk's are (stat(2))
SOURCE = "source.txt"  # of a copy: the path of the file that it was made from

# Where a form is told by a word, and QEMU's name of that form. Sources: docs/interop/qcow2.txt
# of QEMU, [MS-VHDX] 2.2.1, Microsoft's "Virtual Hard Disk Image Format Specification".
# A VHD of fixed size has its word in the last sector alone: QEMU would take it for raw.
FOOTER = b"conectix"
MAGICS = {b"QFI\xfb": "qcow2", b"vhdxfile": "vhdx", FOOTER: "vpc"}
# Source: docs/interop/qcow2.txt: big-endian numbers at these places, bit 2 an external data file.
QCOW2_VERSION, QCOW2_BACKING, QCOW2_INCOMPATIBLE = slice(4, 8), slice(8, 16), slice(72, 80)
QCOW2_DATA_FILE = 4
VHD_TYPE, VHD_FIXED, VHD_DYNAMIC = slice(60, 64), 2, 3

QCOW2_CRYPT, QCOW2_LENGTH = slice(32, 36), slice(100, 104)
QCOW2_LEAST = {2: 72, 3: 104}  # bytes of a header by version
VHDX_HEADERS, VHDX_HEADER = (64 * 2**10, 128 * 2**10), b"head"
VHD_DATA, VHD_SIZE, VHD_HEADER = slice(16, 24), slice(48, 56), b"cxsparse"

PRIVATE_KEY = b"-----BEGIN"
# What ends a quoted word; ssh_config(5) also has tokens and variables in the name of a key.
UNFIT, UNFIT_FOR_SSH = '"', '"\\%$'

# The partition table. Source: UEFI Specification 2.10, 5.2 and 5.3.
TABLE_SECTORS = 34
BOOTABLE = b"\x55\xaa"
GPT = b"EFI PART"
# GUIDs as they stand on disk: their first three groups have their lowest byte first.
EFI_SYSTEM = bytes.fromhex("28732ac11ff8d211ba4b00a0c93ec93b")
BIOS_BOOT = b"Hah!IdontNeedEFI"
MBR_TYPES = (450, 466, 482, 498)
MBR_EFI_SYSTEM = 0xEF


@dataclass(frozen=True)
class Disk:
    """What a file is: QEMU's name of its form, the bytes that a guest would see of it."""

    form: str
    size: int


def check(paths: Paths, config: ImageConfig) -> None:
    """Raise UsageError for files that cannot be the image or the key, before anything is done."""
    file = paths.root / config.path
    _check_path("image", file, UNFIT, "name a disk image")
    _form(file)
    if config.key is not None:
        _check_key(paths.root / config.key)


def _check_key(file: Path) -> None:
    remedy = "name the private key of that user"
    _check_path("key", file, UNFIT_FOR_SSH, remedy)
    if not read_input(file, remedy).startswith(PRIVATE_KEY):
        raise UsageError(f"key: {file} does not begin with {PRIVATE_KEY.decode()}", remedy)


def _check_path(what: str, file: Path, unfit: str, remedy: str) -> None:
    """Raise UsageError for no file, or a path that is more than a name where it is written down."""
    try:
        if not file.is_file():
            raise UsageError(f"{what}: {file} is no file", remedy)
    except OSError as error:
        raise UsageError(f"{what}: {file}: {error.strerror}", remedy) from error
    if not str(file).isprintable() or set(unfit) & set(str(file)):
        raise UsageError(
            f"{what}: the path {str(file)!r} has letters that cannot stand in a settings file",
            "give it a plainer name",
        )


def ensure(paths: Paths, config: ImageConfig) -> Image:
    """The copy of an image that the nodes' disks lie over, made if need be.

    `check` comes first. Raises UsageError for a disk that QEMU cannot read or that nothing
    boots from, LabError where it cannot be copied.
    """
    file = paths.root / config.path
    about = file.stat()
    # A copy that was made before there were hashes counts as none.
    known_by = (str(file.resolve()), str(about.st_size), str(about.st_mtime_ns), sums.NAME)
    name = recipe.digest(None, *known_by)
    target = paths.store / f"own-{name}"
    recipe.build_once(target, lambda folder: _copy(file, folder))
    sums.verify(target)
    # No disk of a node's may lie over one.
    if not libvirt.is_running(paths) or not libvirt.domains(paths):
        _forget_older(paths, target)
    return Image(target)


def _forget_older(paths: Paths, newest: Path) -> None:
    """Remove earlier copies of the same file: a night's image is a new one each night.

    And what is left of copies that were cut off.
    """
    source = (newest / SOURCE).read_text()
    for one in paths.store.glob("own-*"):
        if one != newest and (one / SOURCE).read_text() == source:
            shutil.rmtree(box.folder(paths, Image(one)), ignore_errors=True)
            one.rename(one.with_name(f".{one.name}.partial"))
    for one in paths.store.glob(".own-*.partial"):
        shutil.rmtree(one)


def firmware(image: Image) -> Firmware:
    """What its boot loader asks for."""
    with (image.folder / "root.raw").open("rb") as disk:
        return firmware_of(disk.read(TABLE_SECTORS * SECTOR))


def firmware_of(head: bytes) -> Firmware:
    """What the boot loader of a disk asks for, by its partition table (34 sectors of 512 bytes).

    A disk for both, as Debian's and Azure's first generation are, boots by BIOS, which is
    quicker. Raises UsageError for a disk without any table: nothing on it boots by itself.
    """
    if not _has_table(head):
        raise UsageError(
            "the image has no partition table, so nothing on it boots by itself",
            "give a whole disk with its boot loader",
        )
    if head[SECTOR:].startswith(GPT):
        kinds = {head[at : at + 16] for at in range(2 * SECTOR, len(head), 128)}
        return "uefi" if EFI_SYSTEM in kinds and BIOS_BOOT not in kinds else "bios"
    loader = any(head[:440])
    efi = any(head[at] == MBR_EFI_SYSTEM for at in MBR_TYPES)
    return "uefi" if efi and not loader else "bios"


def _form(file: Path) -> str:
    """QEMU's name of a file's form. Raises UsageError for what is no image, or no whole one."""
    try:
        with file.open("rb") as data:
            size = file.stat().st_size
            head = data.read(SECTOR + len(GPT))
            last = _at(data, max(0, size - SECTOR), SECTOR)
            by_word = (form for magic, form in MAGICS.items() if head.startswith(magic))
            form = next(by_word, "vpc" if last.startswith(FOOTER) else "raw")
            footer = head if head.startswith(FOOTER) else last
            whole = _is_whole(data, size, form, footer if form == "vpc" else head)
    except OSError as error:
        raise UsageError(f"image: {file}: {error.strerror}", "name a disk image") from error
    if (form == "qcow2" and _leads_elsewhere(head)) or (
        form == "vpc" and int.from_bytes(footer[VHD_TYPE]) not in (VHD_FIXED, VHD_DYNAMIC)
    ):
        raise UsageError(f"image: {file} lies over another file", "make it whole: qemu-img convert")
    if not whole:
        raise UsageError(f"image: {file} is no whole {form}", "give all of the file")
    if form == "qcow2" and any(head[QCOW2_CRYPT]):
        raise _encrypted(file)
    if form == "raw" and not _has_table(head):
        raise UsageError(
            f"image: {file} is neither qcow2, VHD or VHDX, nor a raw disk with a partition table",
            "give a whole disk with its boot loader",
        )
    return form


def _at(data: BinaryIO, place: int, length: int) -> bytes:
    data.seek(place)
    return data.read(length)


def _is_whole(data: BinaryIO, size: int, form: str, head: bytes) -> bool:
    """Whether a file has what its first bytes (of a VHD its footer) say, as far as is quick."""
    if form == "qcow2":
        least = QCOW2_LEAST.get(int.from_bytes(head[QCOW2_VERSION]), size + 1)
        # Only from version 3 on a header says how long it is.
        said = int.from_bytes(head[QCOW2_LENGTH]) if least == QCOW2_LEAST[3] else 0
        return size >= max(least, said)
    if form == "vhdx":
        return any(_at(data, at, len(VHDX_HEADER)) == VHDX_HEADER for at in VHDX_HEADERS)
    if form == "vpc" and int.from_bytes(head[VHD_TYPE]) == VHD_DYNAMIC:
        place = min(size, int.from_bytes(head[VHD_DATA]))
        return _at(data, place, len(VHD_HEADER)) == VHD_HEADER
    return form != "vpc" or 0 < int.from_bytes(head[VHD_SIZE]) <= size - SECTOR


def _has_table(head: bytes) -> bool:
    """Whether a disk begins with a partition table; a file system's own first sector has none."""
    return head[510:512] == BOOTABLE and (
        head[SECTOR:].startswith(GPT) or any(head[at] for at in MBR_TYPES)
    )


def _encrypted(file: Path) -> UsageError:
    return UsageError(f"image: {file} is encrypted", "decrypt it: qemu-img convert")


def _leads_elsewhere(header: bytes) -> bool:
    """Whether a qcow2 has its data, or some of it, in another file: QEMU would open that."""
    of_version_3 = int.from_bytes(header[QCOW2_VERSION]) >= 3  # noqa: PLR2004
    features = int.from_bytes(header[QCOW2_INCOMPATIBLE]) if of_version_3 else 0
    return any(header[QCOW2_BACKING]) or bool(features & QCOW2_DATA_FILE)


def _examine(file: Path) -> Disk:
    """Raise UsageError for an image that QEMU cannot read."""
    form = _form(file)
    try:
        said = run(
            ["qemu-img", "info", "--output=json", "-U", "-f", form, f"file:{file}"],
            remedy="is the file whole?",
            timeout=60,
        )
    except LabError as error:
        raise UsageError(f"image: {error.what}", error.remedy) from error
    about = json.loads(said)
    if about.get("encrypted"):
        raise _encrypted(file)
    return Disk(form, about["virtual-size"])


def _copy(file: Path, folder: Path) -> None:
    disk = _examine(file)
    folder.mkdir(parents=True, mode=0o750)
    # An image may hold secrets, and its seed holds the node's host key: QEMU alone may read them.
    run(as_root(["chgrp", libvirt.QEMU_USER, str(folder)]), remedy="./lab doctor", timeout=10)
    _check_loader(file, disk, folder)
    space = shutil.disk_usage(folder).free
    needed = min(disk.size, 2 * BLOCK * file.stat().st_blocks) + SPARE_BYTES
    if space < needed:
        raise LabError(
            f"a copy of {file} may take {needed / 2**30:.0f} GiB; {space / 2**30:.0f} GiB are free",
            f"make room where {folder.parent} lies",
        )
    root = folder / "root.raw"
    run(
        # Zeros take no room; with -U it would read what something else writes to.
        ["qemu-img", "convert", "-q", "-f", disk.form, "-O", "raw", f"file:{file}", str(root)],
        remedy="is there room for it on the disk?",
        timeout=COPY_SECONDS,
    )
    keys.make(folder / "ssh_host_ed25519_key", "node")
    with file.open("rb") as data:
        sha256 = file_digest(data, "sha256").hexdigest()
    sums.write(folder, [root.name])
    (folder / SOURCE).write_text(str(file.resolve()))
    write_json(folder / "identity.json", {"file": file.name, "sha256": sha256, **asdict(disk)})


def _check_loader(file: Path, disk: Disk, folder: Path) -> None:
    """Raise UsageError for a disk on which nothing boots by itself, before it is copied."""
    head = folder / "head.raw"
    part = [f"bs={SECTOR}", f"count={TABLE_SECTORS}", f"if=file:{file}", f"of={head}"]
    run(
        ["qemu-img", "dd", "-f", disk.form, "-O", "raw", *part],
        remedy="is the file whole?",
        timeout=60,
    )
    firmware_of(head.read_bytes())
    head.unlink()
