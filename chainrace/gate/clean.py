"""The state that every trial starts from: recorded once, brought back before each."""

import os
import shutil
import subprocess

from chainrace.gate import backends, guard
from chainrace.gate.programs import without_library
from chainrace.gate.rules import RESTORE, read
from chainrace.gate.shell import NodeError, run
from chainrace.model.rules import plain
from chainrace.model.services import SAVED_FILE, SERVICE

# With less the journal drops lines and a script saves halves: no trial could be trusted.
# ext4 counts up to 16 MiB as free that it gives to nobody (s_resv_clusters).
ROOM_BYTES = 64 << 20
# networkd would take the address away that the guard's neighbour is reached by (guard.py).
UNMANAGED = "/run/systemd/network/10-chainrace.network"
# systemd would end a unit's start or stop after 90 s (systemd-system.conf(5)): the time for which
# the gate holds a process is none of the node's. What a unit file says itself stays.
UNHURRIED = "/run/systemd/system.conf.d/50-chainrace.conf"
DEFAULTS = """[Manager]
DefaultTimeoutStartSec=infinity
DefaultTimeoutStopSec=infinity
"""
# When the node's first boot started it, 0 for never (provision/node/install.sh).
STARTED_BY_BOOT = "/usr/local/lib/chainrace/service"


class CleanState:
    """The state every trial starts from: kubelet stopped, the image's own rules.

    iptables.service has been started in it where a boot starts it.
    """

    def __init__(self) -> None:
        """Bring the node there by its own service, and record what that is."""
        _leave_the_guards_link()
        _hurry_no_unit()
        # Looked for once: a restored snapshot brings the agent's memory back, too.
        without_library()
        self._stop_and_empty()
        for path in SAVED_FILE.values():
            if os.path.exists(path + ".image"):
                shutil.copy(path + ".image", path)
            elif os.path.exists(path + ".absent") and os.path.exists(path):
                os.remove(path)
        self._saved: dict[str, bytes] = {}
        for family, path in SAVED_FILE.items():
            if os.path.exists(path):
                with open(path, "rb") as file:
                    self._saved[family] = file.read()
        with open(STARTED_BY_BOOT, encoding="ascii") as file:
            self._by_boot = file.read().strip() != "0"
        self._bring_service()
        self._state = self._says("ActiveState")
        self.backend = backends.in_use()
        self.rules = read()

    @staticmethod
    def _stop_and_empty() -> None:
        # systemd counts manual starts too, and refuses the sixth in ten seconds.
        # It forgets its count here; of a unit that never ran there is nothing to forget.
        subprocess.run(
            ["systemctl", "reset-failed", "kubelet.service", SERVICE],
            stderr=subprocess.DEVNULL,
            check=False,
        )
        run(["systemctl", "stop", "kubelet.service"])
        # A restart that a script began would go on beside what comes now.
        if CleanState._says("Job"):
            run(["systemctl", "stop", SERVICE])
        backends.empty()

    @staticmethod
    def _says(about: str) -> str:
        return run(["systemctl", "show", "-P", about, SERVICE]).strip()

    def _bring_service(self) -> None:
        """Have the service as a boot leaves it, its rules loaded."""
        if self._by_boot:
            run(["systemctl", "restart", SERVICE])
        elif self._says("ActiveState") == "active":
            run(["systemctl", "stop", SERVICE])
            backends.empty()

    def restore(self) -> None:
        """Bring the node back. Raises NodeError when it is not the same afterwards."""
        _check_room()
        self._stop_and_empty()
        for family, path in SAVED_FILE.items():
            if family in self._saved:
                with open(path, "wb") as file:
                    file.write(self._saved[family])
            elif os.path.exists(path):
                os.remove(path)
        if self._says("ActiveState") != self._state:
            self._bring_service()
        for family, rules in self.rules.items():
            run([RESTORE[family]], rules)
        now = read()
        for family, text in self.rules.items():
            if plain(now[family]) != plain(text):
                raise NodeError(f"the {family} rules did not come back to the recorded clean state")

    def as_at_boot(self) -> None:
        """Bring the node to where a boot begins: no rules, iptables.service not started yet.

        Raises NodeError.
        """
        self.restore()
        run(["systemctl", "stop", SERVICE])
        backends.empty()


def _leave_the_guards_link() -> None:
    if os.path.exists(UNMANAGED) or shutil.which("networkctl") is None:
        return
    os.makedirs(os.path.dirname(UNMANAGED), exist_ok=True)
    with open(UNMANAGED, "w", encoding="ascii") as file:
        file.write(f"[Match]\nName={guard.HERE}\n[Link]\nUnmanaged=yes\n")
    subprocess.run(["networkctl", "reload"], stderr=subprocess.DEVNULL, check=False)


def _hurry_no_unit() -> None:
    if os.path.exists(UNHURRIED):
        return
    os.makedirs(os.path.dirname(UNHURRIED), exist_ok=True)
    with open(UNHURRIED, "w", encoding="ascii") as file:
        file.write(DEFAULTS)
    # It reads the manager's own configuration again, too (core/main.c of systemd).
    run(["systemctl", "daemon-reload"])


def _check_room() -> None:
    for path in ("/etc/systemd/scripts", "/var/log"):
        space = os.statvfs(path)
        free = space.f_bfree * space.f_frsize
        if free < ROOM_BYTES:
            raise NodeError(f"the node's disk is full: {free} bytes are free in {path}")
