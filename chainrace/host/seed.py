"""The seed of an image of the user's own: who may log in, told to its cloud-init.

Source: cloud-init's documentation of the data source NoCloud: a disk with the label `cidata`.
The network is left to cloud-init's own fallback, DHCP on the first interface.
"""

import json
import shutil
from pathlib import Path

from chainrace.host import recipe
from chainrace.host.image import Image
from chainrace.host.shell import run

META = {"instance-id": "chainrace", "local-hostname": "node"}
CONFIG = "/etc/ssh/sshd_config"
INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf"
SSHD = "PermitRootLogin prohibit-password\nUseDNS no\n"


def ensure(image: Image, public_key: str) -> str:
    """The seed for an image and this clone's key, made if need be: its path as QEMU sees it."""
    private = (image.folder / "ssh_host_ed25519_key").read_text()
    user = _user_data(private, image.host_key, public_key)
    name = f"seed-{recipe.digest(None, user)}"
    recipe.build_once(image.folder / name, lambda folder: _build(folder, user))
    return image.inside(f"{name}/seed.iso")


def _user_data(host_private: str, host_public: str, public_key: str) -> str:
    """What cloud-init is to do. JSON is YAML, and needs no library for it."""
    wanted = {
        "disable_root": False,
        "ssh_pwauth": False,
        "ssh_authorized_keys": [public_key],
        # A key that the lab knows: it checks whom it talks to.
        "ssh_keys": {"ed25519_private": host_private, "ed25519_public": host_public},
        "write_files": [{"path": "/etc/ssh/sshd_config.d/00-chainrace.conf", "content": SSHD}],
        # An sshd that was told to include nothing would not read the file above.
        "bootcmd": [f"grep -qF '{INCLUDE}' {CONFIG} || sed -i '1i {INCLUDE}' {CONFIG}"],
        "growpart": {"mode": "off"},
        "package_update": False,
        "package_upgrade": False,
    }
    return f"#cloud-config\n{json.dumps(wanted, indent=1)}\n"


def _build(folder: Path, user: str) -> None:
    tree = folder / "tree"
    tree.mkdir(parents=True)
    (tree / "user-data").write_text(user)
    (tree / "meta-data").write_text(json.dumps(META))
    run(
        [
            *("genisoimage", "-quiet", "-volid", "cidata", "-joliet", "-rock"),
            *("-output", str(folder / "seed.iso"), str(tree)),
        ],
        remedy="see genisoimage's message",
        timeout=60,
    )
    shutil.rmtree(tree)
