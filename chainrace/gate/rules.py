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


def _is_users_own(line: str) -> bool:
    """Whether a line of iptables-save is a rule or a user's chain."""
    # -A INPUT -j KUBE-FIREWALL, or :KUBE-FIREWALL - [0:0], whose policy is a dash
    return line.startswith("-") or (line.startswith(":") and " - " in line)


def backend() -> str:
    """`nft` or `legacy`: what `iptables` means on this node."""
    # iptables v1.8.11 (nf_tables)
    return "nft" if "nf_tables" in run(["iptables", "--version"]) else "legacy"


class CleanState:
    """The state every trial starts from: kubelet stopped, the image's own rules."""

    def __init__(self) -> None:
        """Bring the node there by its own service, and record what that is."""
        run(["systemctl", "stop", "kubelet.service"])
        for path in SAVED_FILE.values():
            if os.path.exists(path + ".image"):
                shutil.copy(path + ".image", path)
        self._saved: dict[str, bytes] = {}
        for family, path in SAVED_FILE.items():
            with open(path, "rb") as file:
                self._saved[family] = file.read()
        self._backend = backend()
        self._empty()
        run(["systemctl", "restart", "iptables.service"])
        self.rules = read()

    def _empty(self) -> None:
        if self._backend == "nft":
            run(["nft", "flush", "ruleset"])
            return
        # Legacy tables cannot be removed without unloading modules: empty them.
        for family, text in read().items():
            emptied = [line for line in text.splitlines() if not _is_users_own(line)]
            run([RESTORE[family]], "\n".join(emptied) + "\n")

    def restore(self) -> None:
        """Bring the node back. Raises NodeError when it is not the same afterwards."""
        run(["systemctl", "stop", "kubelet.service"])
        self._empty()
        for family, path in SAVED_FILE.items():
            with open(path, "wb") as file:
                file.write(self._saved[family])
            run([RESTORE[family]], self.rules[family])
        if run(["systemctl", "show", "-P", "ActiveState", "iptables.service"]).strip() != "active":
            run(["systemctl", "restart", "iptables.service"])
        now = read()
        for family, text in self.rules.items():
            if plain(now[family]) != plain(text):
                raise NodeError(f"the {family} rules did not come back to the recorded clean state")
