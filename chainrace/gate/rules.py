"""The node's rules: read, recorded as clean, and brought back to that state."""

import os
import shutil
import subprocess

SAVE = {"ipv4": "iptables-save", "ipv6": "ip6tables-save"}
RESTORE = {"ipv4": "iptables-restore", "ipv6": "ip6tables-restore"}
SAVED_FILE = {
    "ipv4": "/etc/systemd/scripts/ip4save",
    "ipv6": "/etc/systemd/scripts/ip6save",
}
SERVICE = "iptables.service"
PROGRAM_SECONDS = 60


class NodeError(Exception):
    """The node cannot do what a trial needs; the lab counts it as environment."""


def run(command: list[str], text: str = "") -> str:
    """Run a program of the node and return what it prints. Raises NodeError."""
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=PROGRAM_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NodeError(f"{' '.join(command)}: {error}") from error
    if done.returncode != 0:
        said = done.stderr.strip()
        raise NodeError(f"{' '.join(command)} failed with {done.returncode}: {said}")
    return done.stdout


def read() -> dict[str, str]:
    """The rules of both families, in the backend that `iptables` means here.

    IPv4 before IPv6, always: reading may load modules, and the order is part of
    what a trial is.
    """
    return {family: run([program]) for family, program in SAVE.items()}


def plain(text: str) -> list[str]:
    """An iptables-save text without comments and counters, to compare two of them."""
    lines = (line.split(" [")[0] if line.startswith(":") else line for line in text.splitlines())
    return sorted(line for line in lines if line and not line.startswith("#"))


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
        run(["nft", "flush", "ruleset"])

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
