"""The state that every trial starts from: recorded once, brought back before each."""

import os
import shutil
import subprocess

from chainrace.gate import backends
from chainrace.gate.rules import RESTORE, SAVED_FILE, plain, read
from chainrace.gate.shell import NodeError, run

SERVICE = "iptables.service"


class CleanState:
    """The state every trial starts from: kubelet stopped, the image's own rules."""

    def __init__(self) -> None:
        """Bring the node there by its own service, and record what that is."""
        self._stop_and_empty()
        for path in SAVED_FILE.values():
            if os.path.exists(path + ".image"):
                shutil.copy(path + ".image", path)
        self._saved: dict[str, bytes] = {}
        for family, path in SAVED_FILE.items():
            with open(path, "rb") as file:
                self._saved[family] = file.read()
        run(["systemctl", "restart", SERVICE])
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
        if run(["systemctl", "show", "-P", "Job", SERVICE]).strip():
            run(["systemctl", "stop", SERVICE])
        backends.empty()

    def restore(self) -> None:
        """Bring the node back. Raises NodeError when it is not the same afterwards."""
        self._stop_and_empty()
        for family, path in SAVED_FILE.items():
            with open(path, "wb") as file:
                file.write(self._saved[family])
            run([RESTORE[family]], self.rules[family])
        if run(["systemctl", "show", "-P", "ActiveState", SERVICE]).strip() != "active":
            run(["systemctl", "restart", SERVICE])
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
