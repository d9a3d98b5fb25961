"""Azure's programs on a node, from one pinned module: azure-npm, and azure-cni's two plugins."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from chainrace.base.paths import Paths
from chainrace.host import golang, recipe

MODULE, VERSION = "azure-container-networking", "1.7.0"
_SOURCE = "github.com/Azure/azure-container-networking"
# azure-npm, and the probe of its first step.
NPM = MappingProxyType({"azure-npm": f"{_SOURCE}/npm/cmd", "azure-npm-probe": "./probe"})
CNI = MappingProxyType(
    {
        "azure-vnet": f"{_SOURCE}/cni/network/plugin",
        "azure-vnet-ipam": f"{_SOURCE}/cni/ipam/plugin",
    }
)


def ensure(paths: Paths, packages: Mapping[str, str]) -> dict[str, Path]:
    """Programs by the names that they have on the node, built if need be: NPM's, or CNI's.

    Raises LabError when a build fails.
    """
    module = paths.provision / "binaries" / MODULE / VERSION
    first = next(iter(packages))
    target = paths.store / f"{first}-{VERSION}-{recipe.digest(module, *packages)}"
    recipe.build_once(target, lambda folder: _build(paths, module, packages, folder))
    return {name: target / name for name in packages}


def _build(paths: Paths, module: Path, packages: Mapping[str, str], folder: Path) -> None:
    folder.mkdir()
    for name, package in packages.items():
        golang.build(
            paths,
            module,
            package,
            folder / name,
            log=paths.logs / f"{name}-build.log",
            settings=f"-X main.version={VERSION}",
        )
