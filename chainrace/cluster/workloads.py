"""What runs in the cluster as pods: manifests of provision/cluster/manifests."""

from pathlib import Path

from chainrace.base.errors import LabError
from chainrace.cluster.control_plane import ControlPlane

KUBE_PROXY = "daemonset/kube-proxy"
NAMESPACE = "kube-system"
ROLLOUT_SECONDS = 300.0
APPLY_SECONDS = 60.0
LOG_LINES = 3


def manifest(plane: ControlPlane, name: str) -> Path:
    """The file of a manifest by its name, `kube-proxy`."""
    return plane.paths.provision / "cluster" / "manifests" / f"{name}.yaml"


def apply(plane: ControlPlane, file: Path) -> None:
    """Apply a manifest. Raises LabError with kubectl's reason for one that does not apply."""
    try:
        plane.kubectl("apply", f"--filename={file}", timeout=APPLY_SECONDS)
    except LabError as error:
        raise LabError(f"{file.name} does not apply: {error.what}", f"mend {file}") from error


def wait_until_rolled_out(plane: ControlPlane, what: str) -> None:
    """Wait until all pods of a workload (`daemonset/kube-proxy`) are ready.

    Raises LabError with the last lines of its log when its limit passes.
    """
    limit = f"--timeout={ROLLOUT_SECONDS:.0f}s"
    try:
        plane.kubectl(
            *("rollout", "status", what, f"--namespace={NAMESPACE}", limit),
            timeout=ROLLOUT_SECONDS + APPLY_SECONDS,
        )
    except LabError as error:
        raise LabError(
            f"{what} is not ready: {error.what}; its log: {_log(plane, what)}",
            f"./lab kubectl -n {NAMESPACE} describe {what}",
        ) from error


def _log(plane: ControlPlane, what: str) -> str:
    try:
        said = plane.kubectl("logs", what, f"--namespace={NAMESPACE}", f"--tail={LOG_LINES}")
    except LabError as error:
        return f"none ({error.what})"
    return said.strip() or "empty"
