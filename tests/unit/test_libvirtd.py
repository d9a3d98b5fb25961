"""libvirtd.sh in a mount namespace of its own, with a stand-in for libvirtd: who may do what."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainrace.host import libvirt
from chainrace.host.libvirt import QEMU_USER

SCRIPT = Path(libvirt.__file__).with_name("libvirtd.sh")
HIDDEN = ("/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt")
NODE = "chainrace-012345-node1"
BOX = "chainrace-012345-1_vagrant_box_image_0_1_box.img"


def can() -> bool:
    try:
        pwd.getpwnam(QEMU_USER)
    except KeyError:
        return False
    return os.geteuid() == 0 and all(Path(one).is_dir() for one in HIDDEN)


pytestmark = pytest.mark.skipif(not can(), reason="needs root, and what ./lab setup installs")

# As libvirt does it: the socket is there when it returns; disks are made for root alone.
LIBVIRTD = f"""#!/bin/sh
set -e
: >/run/libvirt-sock; chmod 600 /run/libvirt-sock
cd /var/lib/libvirt/store
mkdir -p volumes
umask 077
echo node >volumes/{NODE}.img
echo other >volumes/{NODE}0.img
echo box >volumes/{BOX}
"""
AS_QEMU = f"setpriv --reuid {QEMU_USER} --regid {QEMU_USER} --init-groups"


@pytest.fixture
def state() -> Iterator[Path]:
    """The state of a clone, where everybody may look into it, whose image is built."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield made(Path(folder) / "clone" / ".lab")


def made(state: Path) -> Path:
    image = state / "store" / "image-1"
    image.mkdir(parents=True)
    (state / "log").mkdir()
    for name in ("root.raw", "vmlinuz"):
        (image / name).write_text(name)
        (image / name).chmod(0o444)
    (state / "log" / f"{NODE}.console.log").write_text("")
    state.chmod(0o700)
    return state


def inside(state: Path, command: str, owner: int = 0) -> str:
    """What a command says in the namespace in which the lab's libvirtd would run."""
    programs = state.parent.parent / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "libvirtd").write_text(LIBVIRTD)
    (programs / "libvirtd").chmod(0o755)
    both = f"{SCRIPT} {state} {owner} keep-kvm && {{ {command}; }}"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", both],
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def hook(name: str = NODE, operation: str = "prepare") -> str:
    return f"/etc/libvirt/hooks/qemu {name} {operation} begin - </dev/null"


def test_qemus_user_gets_the_nodes_own_disk_and_console_and_nothing_else(state: Path) -> None:
    inside(state, hook())
    qemu = pwd.getpwnam(QEMU_USER).pw_uid
    owned = [one.name for one in state.rglob("*") if one.lstat().st_uid == qemu]
    assert sorted(owned) == [f"{NODE}.console.log", f"{NODE}.img"]
    assert (state / "store" / "volumes" / BOX).stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize("operation", ["start", "started", "stopped", "release"])
def test_at_other_times_nothing_changes_hands(state: Path, operation: str) -> None:
    assert inside(state, f"{hook(operation=operation)} && echo fine") == "fine\n"
    assert not [one for one in state.rglob("*") if one.lstat().st_uid != 0]


def test_a_node_without_a_disk_or_a_box_is_not_started(state: Path) -> None:
    assert "fine" not in inside(state, f"{hook('chainrace-012345-node2')} && echo fine")
    gone = f"rm /var/lib/libvirt/store/volumes/{BOX}"
    assert "fine" not in inside(state, f"{gone}; {hook()} && echo fine")


def test_a_console_that_is_not_there_yet_keeps_no_node_from_starting(state: Path) -> None:
    (state / "log" / f"{NODE}.console.log").unlink()
    assert inside(state, f"{hook()} && echo fine") == "fine\n"


@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        ("cat /var/lib/libvirt/store/image-1/root.raw", True),
        ("cat /var/lib/libvirt/store/image-1/vmlinuz", True),
        (f"cat /var/lib/libvirt/store/volumes/{BOX}", True),
        (f"sh -c 'echo x >>/var/lib/libvirt/store/volumes/{NODE}.img'", True),
        (f"sh -c 'echo x >>/var/log/libvirt/{NODE}.console.log'", True),
        (f"cat /var/lib/libvirt/store/volumes/{NODE}0.img", False),
        ("sh -c 'echo x >>/var/lib/libvirt/store/image-1/root.raw'", False),
        ("chmod 666 /var/lib/libvirt/store/image-1/root.raw", False),
        ("mv /var/lib/libvirt/store/image-1/vmlinuz /var/lib/libvirt/store/image-1/other", False),
        ("rm /var/lib/libvirt/store/image-1/root.raw", False),
        (f"chmod 666 /var/lib/libvirt/store/volumes/{BOX}", False),
        (f"rm /var/lib/libvirt/store/volumes/{BOX}", False),
        ("ls /var/lib/libvirt/store", False),
        ("sh -c 'echo x >>/etc/libvirt/hooks/qemu'", False),
    ],
)
def test_what_qemus_user_may_do(state: Path, command: str, *, allowed: bool) -> None:
    said = inside(state, f"{hook()} && {AS_QEMU} {command} >/dev/null && echo fine")
    assert said.endswith("fine\n") == allowed, said


@pytest.mark.parametrize(("mode", "allowed"), [(0o700, False), (0o755, True)])
def test_the_labs_folder_is_closed_to_everybody_but_its_owner(
    state: Path, mode: int, *, allowed: bool
) -> None:
    """With the control: it is the folder's mode that closes it."""
    state.chmod(mode)
    said = inside(state, f"{AS_QEMU} cat {state}/store/image-1/root.raw >/dev/null && echo fine")
    assert said.endswith("fine\n") == allowed, said


def test_the_socket_is_its_owners_alone(state: Path) -> None:
    inside(state, "true", owner=12345)
    about = (state / "run" / "libvirt-sock").stat()
    assert (about.st_uid, about.st_mode & 0o777) == (12345, 0o600)
    settings = (state / "libvirt" / "etc" / "libvirtd.conf").read_text().splitlines()
    assert 'unix_sock_rw_perms = "0600"' in settings
    assert 'unix_sock_ro_perms = "0600"' in settings
    assert "dynamic_ownership = 0" in (state / "libvirt/etc/qemu.conf").read_text().splitlines()


def test_a_libvirtd_that_did_not_start_is_told(state: Path) -> None:
    assert shutil.which("unshare")
    assert "fine" not in inside(state, "echo fine", owner=-1)
