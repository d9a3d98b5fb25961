"""Kubernetes' programs of one version, built from its pinned Go module."""

from pathlib import Path

from chainrace.base.paths import Paths
from chainrace.host import golang, recipe

PACKAGES = "k8s.io/kubernetes/cmd"
VERSION_VARIABLE = "k8s.io/component-base/version.gitVersion"


def pinned(paths: Paths) -> list[str]:
    """The versions that provision/binaries pins, oldest first."""
    names = (one.name for one in folder(paths).iterdir() if one.is_dir())
    return sorted(names, key=lambda name: [int(part) for part in name.split(".")])


def folder(paths: Paths) -> Path:
    """Where a folder stands for each version."""
    return paths.provision / "binaries" / "kubernetes"


def is_module(paths: Paths, version: str) -> bool:
    """Whether a version is pinned by a Go module: one from before modules has its kubelet alone."""
    return (folder(paths) / version / "go.mod").exists()


def ensure(paths: Paths, name: str, version: str) -> Path:
    """A program of a version, built if need be. Raises LabError when the build fails."""
    pin = folder(paths) / version
    target = paths.store / f"{name}-{version}-{recipe.digest(pin, version)}"
    recipe.build_once(target, lambda partial: build(paths, name, version, partial))
    return target / name


def build(paths: Paths, name: str, version: str, into: Path) -> None:
    """Build a program into a folder that is made for it."""
    into.mkdir()
    golang.build(
        paths,
        folder(paths) / version,
        f"{PACKAGES}/{name}",
        into / name,
        log=paths.logs / f"{name}-{version}-build.log",
        settings=f"-X {VERSION_VARIABLE}=v{version}",
    )
