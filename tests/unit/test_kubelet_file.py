"""A kubelet's file of a stranger's: looked at on the host, executed on the node alone."""

import os
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chainrace.base.errors import LabError, UsageError
from chainrace.base.paths import REPOSITORY, Paths
from chainrace.host import kubelet
from chainrace.node import identity
from chainrace.node.ssh import Connection
from chainrace.run.session import check_kubelet
from chainrace.settings.config import KubeletConfig

OWN = KubeletConfig(path="/home/me/kubelet")
V = "Kubernetes v1.34.4"


def elf(*, bits: int = 2, order: int = 1, machine: int = 62) -> bytes:
    """The head of a program as elf(5) has it: by default for x86-64."""
    return (b"\x7fELF" + bytes([bits, order, 1])).ljust(18, b"\0") + bytes([machine]).ljust(
        46, b"\0"
    )


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"", "is no program"),
        (b"#!/bin/sh\n", "is no program"),
        (elf()[:63], "is no program"),
        (elf(bits=1), "another processor"),
        (elf(order=2), "another processor"),
        (elf(machine=183), "another processor"),  # aarch64
        (elf(machine=3), "another processor"),  # i386
    ],
)
def test_a_file_that_no_node_runs_is_refused_at_sight(
    tmp_path: Path, head: bytes, why: str
) -> None:
    (tmp_path / "kubelet").write_bytes(head)
    with pytest.raises(UsageError, match=why):
        kubelet.ensure(Paths(tmp_path), KubeletConfig(path="kubelet"))


def test_a_file_is_never_executed_on_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def execute(*_: object, **__: object) -> None:
        raise AssertionError("a program of the host was run")

    for name in ("Popen", "run"):
        monkeypatch.setattr(subprocess, name, execute)
    file = tmp_path / "kubelet"
    file.write_bytes(elf())
    file.chmod(0o644)  # it needs not be executable here
    assert kubelet.ensure(Paths(tmp_path), KubeletConfig(path="kubelet")) == file


def test_a_program_of_this_host_is_taken_for_what_it_looks_like() -> None:
    shell = os.path.realpath("/bin/sh")
    assert kubelet.ensure(Paths(), KubeletConfig(path=shell)) == Path(shell)


@pytest.mark.parametrize(
    "said", [V, "Kubernetes v1.30.14", "Kubernetes v1.35.0-alpha.1.12+a63d6f-dirty"]
)
def test_a_kubelet_of_ones_own_may_be_of_any_version(said: str) -> None:
    check_kubelet("node1", OWN, "", said)


@pytest.mark.parametrize(
    "said",
    ["", "Kubernetes", "Kubernetes v", "kubectl v1.34.4", f"{V} and more", "v1.34.4", "\x1b"],
)
def test_a_file_that_is_no_kubelet_on_the_node_is_named_with_what_it_says(said: str) -> None:
    with pytest.raises(UsageError) as told:
        check_kubelet("node1", OWN, "", said)
    assert "/home/me/kubelet" in told.value.what
    assert repr(said) in told.value.what
    assert told.value.exit_code == 2


@pytest.mark.parametrize(
    ("config", "images", "said"),
    [
        (KubeletConfig(), "", V),
        (KubeletConfig(version="1.30.14"), "", "Kubernetes v1.30.14"),
        (KubeletConfig(), "Kubernetes v1.29.0", "Kubernetes v1.29.0"),
        (KubeletConfig(version="1.34.4"), "Kubernetes v1.29.0", V),
    ],
)
def test_a_node_runs_the_kubelet_that_it_was_brought_up_for(
    config: KubeletConfig, images: str, said: str
) -> None:
    check_kubelet("node1", config, images, said)
    for other in ("Kubernetes v1.2.3", ""):
        with pytest.raises(LabError, match=f"not {said}") as told:
            check_kubelet("node1", config, images, other)
        assert told.value.exit_code == 4


def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> identity.Versions:
    """What a node says that has this kubelet."""
    file = tmp_path / "kubelet"
    file.write_text(program)
    file.chmod(0o755)
    question = identity.QUESTION.replace("/usr/local/bin/kubelet", str(file))
    monkeypatch.setattr(identity, "QUESTION", question.replace("timeout 60", "timeout 1"))

    def succeed(command: str, *, timeout: float) -> str:
        done = subprocess.run(
            ["sh", "-c", command], stdout=subprocess.PIPE, text=True, timeout=timeout, check=True
        )
        return done.stdout

    return identity.versions(cast("Connection", SimpleNamespace(succeed=succeed)))


SAYS: dict[str, Any] = {
    "a kubelet": (f"#!/bin/sh\necho {V}", V),
    "one that says more": (f"#!/bin/sh\necho {V}\necho kernel=mine\necho price=3", V),
    "one that says nothing": ("#!/bin/sh\nexit 1", ""),
    "one that complains": ("#!/bin/sh\necho 'unknown flag' >&2; exit 1", "unknown flag"),
    "one that never ends": ("#!/bin/sh\nsleep 30", ""),
    "one that never stops": ("#!/bin/sh\nyes", "y"),
    "a line without an end": ("#!/bin/sh\nyes | tr -d '\\n'", "y" * 1000),
}


@pytest.mark.parametrize(("program", "wanted"), SAYS.values(), ids=SAYS.keys())
def test_of_what_a_nodes_kubelet_says_a_line_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, wanted: str
) -> None:
    said = asked(tmp_path, monkeypatch, program)
    assert said.kubelet == wanted
    assert said.kernel == os.uname().release


def test_what_the_node_cannot_execute_is_told_by_the_nodes_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = asked(tmp_path, monkeypatch, "\x7fELF")
    assert re.search("format error|cannot execute|not found", said.kubelet, re.IGNORECASE)


INSTALL = (REPOSITORY / "provision" / "node" / "install.sh").read_text()
FLAGS = re.search(
    r"^# What older kubelets take.*?^echo \"KUBELET_FLAGS.*?$", INSTALL, re.MULTILINE | re.DOTALL
)


@pytest.mark.parametrize(
    ("program", "flags"),
    [
        (f"echo {V}", []),
        ("echo Kubernetes v1.27.0", []),
        ("echo Kubernetes v1.26.15", ["--container-runtime"]),
        ("echo Kubernetes v1.20.2", ["--container-runtime", "--feature-gates"]),
        ("echo nonsense; exit 1", []),
        ("exit 126", []),
        ("yes", []),
        ("sleep 30", []),
    ],
)
def test_a_node_is_provisioned_whatever_a_kubelet_says_it_is(
    tmp_path: Path, program: str, flags: list[str]
) -> None:
    assert FLAGS
    file, env = tmp_path / "kubelet", tmp_path / "kubelet.env"
    file.write_text(f"#!/bin/sh\n{program}\n")
    file.chmod(0o755)
    part = FLAGS[0].replace("/etc/kubernetes/kubelet.env", str(env))
    part = part.replace("timeout 60", "timeout 1")
    subprocess.run(
        ["bash", "-c", f"set -euo pipefail\nkubelet={file}\n{part}"], check=True, timeout=10
    )
    said = env.read_text()
    assert said.startswith("KUBELET_FLAGS=")
    for flag in ("--container-runtime", "--feature-gates"):
        assert (f"{flag}=" in said) == (flag in flags)
