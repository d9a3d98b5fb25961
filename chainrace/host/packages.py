"""Debian packages of the host: what is missing, and installing it."""

import shutil
from pathlib import Path

from chainrace.errors import LabError
from chainrace.host.shell import as_root, run

LIST = Path(__file__).with_name("packages.txt")


def wanted() -> list[str]:
    """The packages that packages.txt names, in its order."""
    lines = (line.split("#")[0].strip() for line in LIST.read_text().splitlines())
    return [line for line in lines if line]


def missing() -> list[str]:
    """Those of `wanted` that are not installed. Raises LabError where this is no Debian."""
    if not shutil.which("dpkg-query"):
        raise LabError(
            "this machine has no dpkg: the lab installs Debian's packages",
            "run it on Debian 12 or newer, or in such a virtual machine",
        )
    listing = run(
        ["dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\n"],
        remedy="repair the package database: dpkg --configure -a",
        timeout=60,
    )
    installed = {line.split()[0] for line in listing.splitlines() if line.endswith(" installed")}
    return [name for name in wanted() if name not in installed]


def install(names: list[str], log: Path) -> None:
    """Install packages by apt, with sudo where not root. Raises LabError when apt fails."""
    remedy = "as root: apt-get update && apt-get install " + " ".join(names)
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    run(as_root(["apt-get", "update"]), remedy=remedy, timeout=600, log=log)
    run(
        as_root(["apt-get", "install", "-y", "--no-install-recommends", *names]),
        remedy=remedy,
        timeout=1800,
        log=log,
        env=env,
    )
