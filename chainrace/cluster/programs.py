"""The programs of the control plane, built when a cluster is first asked for."""

from pathlib import Path

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.host import golang, kubernetes, recipe
from chainrace.host.setup import Step

ETCD, ETCD_VERSION = "etcd", "3.6.8"
ETCD_PACKAGE = "go.etcd.io/etcd/server/v3"
OF_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")


def check(paths: Paths, version: str) -> None:
    """Raise LabError for a version of Kubernetes whose control plane cannot be built here."""
    if version not in served(paths):
        raise LabError(
            f"there is no control plane of Kubernetes {version} to be built",
            f"use one of: {', '.join(served(paths))} ([kubelet] version, or --kubelet)",
        )


def served(paths: Paths) -> list[str]:
    """The versions of Kubernetes that a control plane can be built of, oldest first."""
    return [one for one in kubernetes.pinned(paths) if kubernetes.is_module(paths, one)]


def ensure(paths: Paths, version: str, step: Step) -> dict[str, Path]:
    """Each program's file by its name, of a version that is served. Raises LabError."""
    with step(f"etcd {ETCD_VERSION}"):
        found = {ETCD: _etcd(paths)}
    for name in OF_KUBERNETES:
        with step(f"{name} {version}"):
            found[name] = kubernetes.ensure(paths, name, version)
    return found


def _etcd(paths: Paths) -> Path:
    pin = paths.provision / "binaries" / ETCD / ETCD_VERSION
    target = paths.store / f"{ETCD}-{ETCD_VERSION}-{recipe.digest(pin)}"

    def build(into: Path) -> None:
        into.mkdir()
        log = paths.logs / f"{ETCD}-build.log"
        golang.build(paths, pin, ETCD_PACKAGE, into / ETCD, log=log)

    recipe.build_once(target, build)
    return target / ETCD
