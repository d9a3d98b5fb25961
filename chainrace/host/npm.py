"""azure-npm: the real program, and the probe of its first step, from one pinned module."""

from dataclasses import dataclass
from pathlib import Path

from chainrace.base.paths import Paths
from chainrace.host import golang, recipe

VERSION = "1.7.0"
PACKAGES = {
    "azure-npm": "github.com/Azure/azure-container-networking/npm/cmd",
    "azure-npm-probe": "./probe",
}


@dataclass(frozen=True)
class AzureNpm:
    """Both programs, by the names that they have on the node."""

    programs: dict[str, Path]


def ensure(paths: Paths) -> AzureNpm:
    """The programs, built if need be. Raises LabError when the build fails."""
    module = paths.provision / "binaries" / "azure-npm" / VERSION
    target = paths.store / f"azure-npm-{VERSION}-{recipe.digest(module)}"
    recipe.build_once(target, lambda folder: _build(paths, module, folder))
    return AzureNpm({name: target / name for name in PACKAGES})


def _build(paths: Paths, module: Path, folder: Path) -> None:
    folder.mkdir()
    for name, package in PACKAGES.items():
        golang.build(
            paths,
            module,
            package,
            folder / name,
            log=paths.logs / f"{name}-build.log",
            settings=f"-X main.version={VERSION}",
        )
