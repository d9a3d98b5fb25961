"""The node image: built from provision/image when its recipe changed."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrace.base.errors import LabError
from chainrace.base.files import write_json
from chainrace.base.paths import STORE_INSIDE, Paths
from chainrace.host import debian, recipe, sums
from chainrace.host.shell import as_root, run

BUILD_SECONDS = 1800
NEEDED_BYTES = 6 * 2**30
# What a node is made from.
FILES = ("root.raw", "vmlinuz", "initrd.img")

# Measured together with the image's masked units: 25-31 s to the first ssh command
# became 17 s without KVM (docs/dev/performance.md).
_ARGUMENTS = (
    "root=/dev/vda rw console=ttyS0 net.ifnames=0 systemd.hostname=node quiet "
    "mitigations=off nokaslr cryptomgr.notests=1 tsc=reliable no_timer_check "
    "nowatchdog rcupdate.rcu_expedited=1"
)

# QEMU without KVM never lets the time stamp counter go back (cpu_get_ticks in
# softmmu/cpus.c), not even by a restored snapshot: the guest's clock would jump to the
# present, and with it every timer that runs. The HPET's time is restored.
_TCG_ARGUMENT = " clocksource=hpet"


def command_line(*, kvm: bool) -> str:
    """The kernel's arguments for a node."""
    return _ARGUMENTS if kvm else _ARGUMENTS + _TCG_ARGUMENT


@dataclass(frozen=True)
class Image:
    """A built image; `folder` holds root.raw, vmlinuz, initrd.img, manifest.txt, SHA256SUMS."""

    folder: Path

    @property
    def identity(self) -> dict[str, Any]:
        """Recipe and contents: what a verdict names as the image it judged."""
        return dict(json.loads((self.folder / "identity.json").read_text()))

    @property
    def host_key(self) -> str:
        """The public ssh host key of every node made from this image."""
        return (self.folder / "ssh_host_ed25519_key.pub").read_text().strip()

    def inside(self, name: str) -> str:
        """The path of one of its files as QEMU sees it."""
        return str(STORE_INSIDE / self.folder.name / name)


def current(paths: Paths, packages: Sequence[str] = ()) -> Path:
    """The folder in which the image of today's recipe stands, or would stand.

    `packages` are Debian's, which it has besides.
    """
    # One that was built before there were hashes counts as none.
    name = recipe.digest(paths.provision / "image", sums.NAME, *packages)
    return paths.store / f"image-{name}"


def ensure(paths: Paths, packages: Sequence[str] = ()) -> Image:
    """Build the image unless today's recipe already has. Raises LabError."""
    folder = current(paths, packages)
    recipe.build_once(folder, lambda partial: _build(paths, partial, packages))
    sums.verify(folder)
    return Image(folder)


def _build(paths: Paths, folder: Path, packages: Sequence[str]) -> None:
    space = os.statvfs(paths.store)
    if space.f_bavail * space.f_frsize < NEEDED_BYTES:
        raise LabError(
            f"too little space for the node image in {paths.store}",
            f"free {NEEDED_BYTES // 2**30} GiB, or clone to a larger disk",
        )
    log = paths.logs / "image.log"
    run(
        as_root(
            [
                # What it mounts goes with it, however it ends.
                *("unshare", "--mount"),
                str(paths.provision / "image" / "build.sh"),
                str(folder),
                debian.mirror(),
                str(debian.KEYRING),
                *packages,
            ]
        ),
        remedy=f"see {log}",
        timeout=BUILD_SECONDS,
        log=log,
    )
    if os.geteuid() != 0:
        run(as_root(["chown", str(os.getuid()), str(folder)]), remedy=f"see {folder}", timeout=10)
    identity = {
        "recipe": current(paths, packages).name,
        "packages": list(packages),
        "manifest_sha256": hashlib.sha256((folder / "manifest.txt").read_bytes()).hexdigest(),
        "root_sha256": sums.write(folder, FILES)["root.raw"],
    }
    write_json(folder / "identity.json", identity)
