"""Where the node's iptables programs can be stopped: their library, or their own exec."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from functools import lru_cache

from chainrace.gate.process import PROGRAMS
from chainrace.gate.shell import NodeError

ACTIONS = ("-save", "-restore")
FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


@lru_cache
def library() -> str:
    """The library that every iptables program of a distribution loads."""
    found = glob.glob("/usr/lib*/libxtables.so.*") + glob.glob("/usr/lib*/*/libxtables.so.*")
    if not found:
        raise NodeError("no libxtables.so on this node: its iptables cannot be watched")
    return os.path.realpath(found[0])


def meanings() -> list[str]:
    """The files that iptables' names lead to now: update-alternatives(1) changes them."""
    names = (
        f"{family}{action}" for family in ("iptables", "ip6tables") for action in ("", *ACTIONS)
    )
    return [os.path.realpath(shutil.which(name) or "") for name in names]


@lru_cache
def without_library() -> list[str]:
    """The iptables-family programs that do not load it: statically linked ones, say.

    They are stopped inside their execve(2) instead. Not all are, because a process
    held there holds its parent's fork as well, and kubelet's other threads with it.
    """
    found = {
        os.path.realpath(os.path.join(folder, name))
        for folder in FOLDERS
        if os.path.isdir(folder)
        for name in os.listdir(folder)
        if PROGRAMS.match(name) and os.access(os.path.join(folder, name), os.X_OK)
    }
    return [path for path in sorted(found) if _is_binary(path) and not _loads_library(path)]


def _is_binary(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def _loads_library(path: str) -> bool:
    told = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
    return "libxtables" in told.stdout
