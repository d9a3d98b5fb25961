"""What this machine has of what the lab needs."""

import os
import shutil
from dataclasses import dataclass

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.host import acceleration, image, libvirt, packages
from chainrace.host.image import Image

DISK_BYTES = 8 * 2**30
MEMORY_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Finding:
    """One line of the examination; `remedy` where there is something to do."""

    ok: bool
    what: str
    remedy: str = ""


def examine(paths: Paths) -> list[Finding]:
    """Look at everything, change nothing."""
    return [_rights(), _packages(), _disk(paths), _memory(), _image(paths), _daemon(paths)]


def _rights() -> Finding:
    if os.geteuid() == 0:
        return Finding(ok=True, what="root")
    if shutil.which("sudo"):
        return Finding(ok=True, what="sudo (it must not ask for a password: sudo -v first)")
    return Finding(ok=False, what="neither root nor sudo", remedy="run as root, or install sudo")


def _packages() -> Finding:
    try:
        absent = packages.missing()
    except LabError as error:
        return Finding(ok=False, what=error.what, remedy=error.remedy)
    if absent:
        return Finding(
            ok=False, what=f"packages: {' '.join(absent)}", remedy="./lab setup installs them"
        )
    return Finding(ok=True, what=f"all {len(packages.wanted())} packages")


def _disk(paths: Paths) -> Finding:
    space = os.statvfs(paths.root)
    free = space.f_bavail * space.f_frsize
    what = f"{free / 2**30:.0f} GiB of disk free"
    if free < DISK_BYTES:
        return Finding(ok=False, what=what, remedy=f"free {DISK_BYTES // 2**30} GiB")
    return Finding(ok=True, what=what)


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    what = f"{total / 2**30:.0f} GiB of memory"
    if total < MEMORY_BYTES:
        return Finding(
            ok=False, what=what, remedy=f"use a machine with {MEMORY_BYTES // 2**30} GiB"
        )
    return Finding(ok=True, what=what)


def _image(paths: Paths) -> Finding:
    folder = image.current(paths)
    if not folder.is_dir():
        return Finding(ok=False, what="node image not built yet", remedy="./lab setup builds it")
    answer = acceleration.probe(paths, Image(folder))
    return Finding(ok=True, what=f"node image; acceleration {answer.name}: {answer.reason}")


def _daemon(paths: Paths) -> Finding:
    if libvirt.is_running(paths):
        return Finding(ok=True, what=f"the lab's libvirt runs, in namespace {paths.prefix}")
    return Finding(ok=True, what="the lab's libvirt is not running (commands start it)")
