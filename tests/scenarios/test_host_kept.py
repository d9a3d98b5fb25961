"""A whole run, and what it leaves on its host outside its clone. The host must be quiet."""

import subprocess
from pathlib import Path

import pytest

from chainrace.base.paths import Paths
from tests.node.fixtures import host_state
from tests.scenarios.conftest import cloned, run_as_it_stands

pytestmark = pytest.mark.nightly

# What the README says that a lab leaves: caches of Python and Go, and Vagrant's own folder.
LISTED = tuple(Path.home() / name for name in (".cache", "go", ".config/go", ".vagrant.d"))
# The kernel's own, and what every program of a host writes to.
OTHERS = tuple(map(Path, ("/proc", "/sys", "/dev", "/var/log")))


def looks() -> dict[str, str]:
    """Interfaces, packet filters, settings, modules, mounts, listeners and programs."""
    more = {
        "modules": ["sh", "-c", "cut -d' ' -f1 /proc/modules | sort"],
        "mounts": ["sh", "-c", "sort /proc/mounts"],
        "namespaces": ["ip", "netns", "list"],
        "listeners": ["ss", "-Hltun"],
        "programs": ["sh", "-c", "ps -eo args | grep -v -e 'ps -eo' -e '^\\[' | sort"],
    }
    return host_state() | {
        name: subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for name, command in more.items()
    }


def changed_since(marker: Path, but: tuple[Path, ...]) -> list[str]:
    """The files of this host that were made or changed after the marker was."""
    prune = [word for folder in but for word in ("-path", str(folder), "-prune", "-o")]
    command = ["find", "/", "-xdev", *prune, "-type", "f", "-cnewer", str(marker), "-print"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return said.stdout.splitlines()


def test_a_run_leaves_its_host_as_it_was(paths: Paths, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    with cloned(tmp_path / "lab", paths) as clone:
        # Its .venv and its packages are there before: the README lists what those leave.
        assert run_as_it_stands("./lab doctor", clone)[0] in {0, 4}
        before = looks()
        marker.touch()
        code, said = run_as_it_stands("./lab run --evidence trials --trials 1", clone)
        assert code == 3, said
        assert run_as_it_stands("./lab down", clone)[0] == 0
        assert looks() == before
        assert changed_since(marker, (clone, *LISTED, *OTHERS)) == []
