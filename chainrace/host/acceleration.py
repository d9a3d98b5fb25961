"""Whether KVM really works here: a guest must boot with it, nothing less counts.

A device that opens proves nothing: hosts exist (nested, or with a broken module)
on which every guest dies. The probe boots the node image's own kernel, whose tiny
initrd says one line and powers off.
"""

import grp
import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from chainrace.base.files import write_json
from chainrace.base.paths import Paths
from chainrace.host.image import Image
from chainrace.host.libvirt import QEMU_USER
from chainrace.host.shell import as_root, to_its_end

DEVICE = Path("/dev/kvm")
SENTINEL = "chainrace: the probe guest is up"  # provision/image/initrd/init
PROBE_SECONDS = 15


@dataclass(frozen=True)
class Acceleration:
    """`kvm` or not, and one sentence why."""

    kvm: bool
    reason: str

    @property
    def name(self) -> str:
        return "kvm" if self.kvm else "tcg"


def _host() -> str:
    """What the answer is valid for: this kernel on this processor, this device."""
    cpu = next(
        (line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "",
    )
    device = "none"
    if DEVICE.exists():
        about = DEVICE.stat()
        members = grp.getgrgid(about.st_gid).gr_mem
        device = f"{about.st_mode:o} {about.st_uid} {about.st_gid} {' '.join(sorted(members))}"
    return f"{platform.node()} {platform.release()} {cpu.split(':')[-1].strip()} {device}"


def probe(paths: Paths, image: Image) -> Acceleration:
    """The answer for this host, from the probe guest; kept until the host changes."""
    kept = paths.state / "acceleration.json"
    if kept.exists():
        stored = json.loads(kept.read_text())
        if stored.pop("host") == _host():
            return Acceleration(**stored)
    answer = _probe(image)
    write_json(kept, {"host": _host(), **asdict(answer)})
    return answer


def _probe(image: Image) -> Acceleration:
    if not DEVICE.exists():
        return Acceleration(kvm=False, reason="this host has no /dev/kvm")
    allowed = subprocess.run(
        as_root(
            [
                *("setpriv", "--reuid", QEMU_USER, "--regid", QEMU_USER),
                *("--init-groups", "test", "-w", str(DEVICE)),
            ]
        ),
        capture_output=True,
        check=False,
    )
    if allowed.returncode != 0:
        return Acceleration(
            kvm=False,
            reason=f"/dev/kvm is closed to libvirt's user (usermod -aG kvm {QEMU_USER} opens it)",
        )
    if not _boots(image):
        return Acceleration(kvm=False, reason="/dev/kvm opens, but no guest boots with it")
    return Acceleration(kvm=True, reason="a probe guest booted with KVM")


def _boots(image: Image) -> bool:
    """Whether the probe guest says its line with KVM. A guest that hangs does not boot."""
    command = [
        *("qemu-system-x86_64", "-machine", "q35,accel=kvm", "-cpu", "host", "-m", "256"),
        *("-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"),
        *("-kernel", str(image.folder / "vmlinuz"), "-initrd", str(image.folder / "initrd.img")),
        *("-append", "console=ttyS0 chainrace.probe panic=-1"),
    ]
    try:
        done = to_its_end(
            command if os.access(DEVICE, os.R_OK | os.W_OK) else as_root(command),
            timeout=PROBE_SECONDS,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return False
    return SENTINEL in done.stdout
