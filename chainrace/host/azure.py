"""Azure's programs on a node, from one pinned module: azure-npm, and azure-cni's two plugins."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from chainrace.base.paths import Paths
from chainrace.host import golang, recipe

MODULE, VERSION = "azure-container-networking", "1.7.0"
SOURCE = "github.com/Azure/azure-container-networking"
# azure-npm, and the probe of its first step.
NPM = MappingProxyType({"azure-npm": f"{SOURCE}/npm/cmd", "azure-npm-probe": "./probe"})
CNI = MappingProxyType(
    {
        "azure-vnet": f"{SOURCE}/cni/network/plugin",
        "azure-vnet-ipam": f"{SOURCE}/cni/ipam/plugin",
    }
)


# azure-npm as its maker builds it for a pod: with a key for its telemetry, here nobody's. Without
# one it waits three minutes at each start. Source: npm/linux.Dockerfile, NPM_AI_ID.
POD = MappingProxyType({"azure-npm": NPM["azure-npm"]})
TELEMETRY = f"-X {SOURCE}/npm.aiMetadata=00000000-0000-0000-0000-000000000000"


def ensure(paths: Paths, packages: Mapping[str, str], settings: str = "") -> dict[str, Path]:
    """Programs by the names that they have on the node, built if need be: NPM's, CNI's, POD's.

    `settings` are the linker's. Raises LabError when a build fails.
    """
    first = next(iter(packages))
    made_of = recipe.digest(module(paths), *packages, *settings.split())
    target = paths.store / f"{first}-{VERSION}-{made_of}"
    recipe.build_once(target, lambda folder: _build(paths, packages, settings, folder))
    return {name: target / name for name in packages}


def module(paths: Paths) -> Path:
    """The folder of the module that pins them."""
    return paths.provision / "binaries" / MODULE / VERSION


def _build(paths: Paths, packages: Mapping[str, str], settings: str, folder: Path) -> None:
    folder.mkdir()
    for name, package in packages.items():
        golang.build(
            paths,
            module(paths),
            package,
            folder / name,
            log=paths.logs / f"{name}-build.log",
            settings=f"-X main.version={VERSION} {settings}",
        )
