"""Debian packages of the host: what is missing, and installing it."""

import os
import shutil
import sys
from pathlib import Path

from chainrace.base.errors import LabError
from chainrace.host.shell import FINISHES, MARK, as_root, run

LIST = Path(__file__).with_name("packages.txt")
TESTS = Path(__file__).with_name("packages-test.txt")
CLUSTER = Path(__file__).with_name("packages-cluster.txt")


def wanted(names: Path = LIST) -> list[str]:
    """The packages that a list names, in its order."""
    lines = (line.split("#")[0].strip() for line in names.read_text().splitlines())
    return [line for line in lines if line]


def missing(names: Path = LIST) -> list[str]:
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
    return [name for name in wanted(names) if name not in installed]


# Debian's packages start what they bring, unless a policy forbids it. The lab needs
# libvirt's programs, not a second libvirt: it forbids it for as long as apt runs.
# libvirt's units are not to start at the host's next boot either. What another apt left half
# done is configured first. Another lab's installation is waited for, by a lock of all labs,
# and any other apt: its lock on the lists is none that DPkg::Lock::Timeout knows.
INSTALL = r"""
set -e
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
exec 9</var/lib/apt/lists
flock 9
policy=/usr/sbin/policy-rc.d mark='# chainrace: gone when its packages are installed'
if [ ! -e "$policy" ] || grep -qxF "$mark" "$policy"; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
    chmod 755 "$policy"
fi
dpkg --configure -a || true
until said=$(apt-get update 2>&1); do
    echo "$said"
    case $said in *'Could not get lock'*) sleep 2 ;; *) exit 1 ;; esac
done
apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "$@"
case " $* " in *' libvirt-daemon-system '*)
    systemctl --quiet disable libvirtd.service libvirt-guests.service \
        libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket \
        virtlogd.socket virtlogd-admin.socket virtlockd.socket virtlockd-admin.socket || true ;;
esac
"""


def install(names: list[str], log: Path) -> None:
    """Install packages by apt, with sudo where not root. Raises LabError when apt fails.

    apt comes to its end whatever ends this command: a package database left in the middle
    would need a hand. The next command waits for it.
    """
    apart = ("env", "-u", MARK, f"{FINISHES}={os.environ.get(MARK, '')}", "setsid", "--fork")
    try:
        run(
            as_root([*apart, "--wait", "sh", "-c", INSTALL, "install", *names]),
            remedy="as root: apt-get update && apt-get install " + " ".join(names),
            timeout=1800,
            log=log,
        )
    except KeyboardInterrupt:
        print("lab: apt goes on to its end; the next command waits for it", file=sys.stderr)
        raise
