"""What runs in the cluster as pods: provision/cluster/manifests, and azure-npm's own manifest."""

import re
from pathlib import Path
from typing import Literal

from chainrace.base.errors import LabError
from chainrace.base.files import write_whole
from chainrace.cluster import control_plane, payload
from chainrace.cluster.control_plane import ControlPlane
from chainrace.host import azure, golang

ProxyMode = Literal["iptables", "nftables"]
IPTABLES: ProxyMode = "iptables"
# As the manifest has it; a unit test holds it to that.
MODE = f"--proxy-mode={IPTABLES}"
KUBE_PROXY, AZURE_NPM = "daemonset/kube-proxy", "daemonset/azure-npm"
# a line:          image: registry.example/containernetworking/azure-npm:v1.4.45.3
IMAGE = re.compile(r"^(?P<indent> *)image: \S+/azure-npm:\S+$", re.MULTILINE)
NAMESPACE = "kube-system"
ROLLOUT_SECONDS = 300.0
APPLY_SECONDS = 60.0
LOG_LINES = 3


def kube_proxy(plane: ControlPlane, mode: ProxyMode = IPTABLES) -> Path:
    """kube-proxy's manifest, for one of its modes."""
    source = plane.paths.provision / "cluster" / "manifests" / "kube-proxy.yaml"
    made = control_plane.folder(plane.paths) / source.name
    write_whole(made, source.read_text().replace(MODE, f"--proxy-mode={mode}"))
    return made


def azure_npm(plane: ControlPlane) -> Path:
    """azure-npm's manifest as its maker ships it, but for the image: no registry is asked.

    Raises LabError where the maker's names no image of azure-npm's.
    """
    module = azure.module(plane.paths)
    source = golang.source(plane.paths, module, azure.SOURCE) / "npm" / "azure-npm.yaml"
    made = control_plane.folder(plane.paths) / source.name
    write_whole(made, with_own_image(source.read_text()))
    return made


def with_own_image(text: str) -> str:
    """A manifest of azure-npm's with the lab's own image. Raises LabError where it names none."""
    image = rf"\g<indent>image: {payload.name_of(payload.NPM)}\n\g<indent>imagePullPolicy: Never"
    changed, count = IMAGE.subn(image, text)
    if count != 1:
        raise LabError(f"azure-npm's manifest names {count} images of its own, not 1", "look at it")
    return changed


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
