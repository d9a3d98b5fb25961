"""Snapshots of a running node: its memory, its devices and its disk, inside its own image.

By QEMU's own monitor: virsh's snapshot-revert takes four times as long (2 to 4 s).
Connections over the network do not outlive a restore; the virtio-serial port does.
"""

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.host import libvirt

PREFIX = "lab-"
SECONDS = 120


class Snapshots:
    """The lab's snapshots of one domain."""

    def __init__(self, paths: Paths, domain: str) -> None:
        self._paths = paths
        self._domain = domain

    def save(self, name: str) -> None:
        """Keep the node as it is now. Raises LabError."""
        self._monitor(f"savevm {PREFIX}{name}")

    def restore(self, name: str) -> None:
        """Bring the node back to what it was. Raises LabError."""
        self._monitor(f"loadvm {PREFIX}{name}")

    def delete(self, name: str) -> None:
        """Forget a snapshot; its room in the image is used again."""
        self._monitor(f"delvm {PREFIX}{name}")

    def clear(self, but: str = "") -> None:
        """Forget all of the lab's but one, also those that an interruption left."""
        for line in self._ask("info snapshots").splitlines():
            # --        lab-3             227 MiB 2026-11-21 09:59:13 00:00:21.514
            words = line.split()
            if len(words) > 1 and words[1].startswith(PREFIX) and words[1] != PREFIX + but:
                self._monitor(f"delvm {words[1]}")

    def _monitor(self, command: str) -> None:
        said = self._ask(command).strip()
        if said:  # these commands are silent when they succeed
            raise LabError(
                f"{self._domain}: {command}: {said.splitlines()[0]}",
                "is the disk full? else: vagrant destroy -f, then run again",
            )

    def _ask(self, command: str) -> str:
        return libvirt.virsh(
            self._paths, "qemu-monitor-command", "--hmp", self._domain, command, timeout=SECONDS
        )
