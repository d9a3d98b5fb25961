"""Where everything of one clone lies. Nothing of the lab is written elsewhere.

The tree under `.lab/` is the lab's whole state; `./lab down` ends what runs from
it, and removing the folder forgets it.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Paths:
    """The folders of one clone; `root` is the clone itself."""

    root: Path = REPOSITORY

    @property
    def state(self) -> Path:
        return self.root / ".lab"

    @property
    def provision(self) -> Path:
        return self.root / "provision"

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def store(self) -> Path:
        """Images, disks and boxes; QEMU reads it as STORE_INSIDE."""
        return self.state / "store"

    @property
    def explorations(self) -> Path:
        """Explorations that were stopped before their end, to go on from."""
        return self.state / "explorations"

    @property
    def run(self) -> Path:
        """The private /run of libvirtd: its socket and its process ids."""
        return self.state / "run"

    @property
    def logs(self) -> Path:
        return self.state / "log"

    @property
    def ssh(self) -> Path:
        return self.state / "ssh"

    @property
    def ssh_config(self) -> Path:
        return self.ssh / "config"

    @property
    def libvirt_socket(self) -> Path:
        return self.run / "libvirt-sock"

    @property
    def libvirt_uri(self) -> str:
        return f"qemu+unix:///system?socket={self.libvirt_socket}"

    @property
    def vagrant_settings(self) -> Path:
        """What the Vagrantfile reads; written by `./lab setup`."""
        return self.state / "vagrant.json"

    def console(self, node: str) -> Path:
        """The serial console of a node, as QEMU writes it."""
        return self.logs / f"{self.prefix}-{node}.console.log"

    @property
    def prefix(self) -> str:
        """Names of this clone's own: namespace, domains, boxes carry it."""
        return "chainrace-" + hashlib.sha256(str(self.root).encode()).hexdigest()[:6]


# Inside libvirtd's mount namespace the clone's folders stand at these places, which
# QEMU's unprivileged user can reach even where the clone itself is private.
STORE_INSIDE = Path("/var/lib/libvirt/store")
LOGS_INSIDE = Path("/var/log/libvirt")
