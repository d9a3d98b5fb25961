"""What becomes of a workload's containers, and kubectl's own watch of all pods."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chainrace.base.errors import LabError
from chainrace.cluster import control_plane
from chainrace.cluster.control_plane import KUBECTL, ControlPlane
from chainrace.cluster.workloads import NAMESPACE
from chainrace.host.shell import send

AZURE_NPM, KUBE_PROXY = "k8s-app=azure-npm", "component=kube-proxy"
CRASHLOOP = "CrashLoopBackOff"
LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Container:
    """A container of a pod, as its node last reported it.

    `failed` is when its last try began that has ended with an error, by the node's clock and as
    the API has it (`2026-11-28T11:02:03Z`), empty where none has. `waiting` is kubelet's reason
    (`CrashLoopBackOff`).
    """

    pod: str
    failed: str
    waiting: str
    running: bool
    restarts: int


def containers(plane: ControlPlane, selector: str) -> tuple[Container, ...]:
    """The containers of the pods that a label selector takes. Raises LabError."""
    words = ("get", "pods", f"--namespace={NAMESPACE}", f"--selector={selector}", "--output=json")
    return containers_in(json.loads(plane.kubectl(*words)))


def containers_in(pods: Mapping[str, Any]) -> tuple[Container, ...]:
    """The same of a list of pods (Kubernetes' API, v1.PodList, ContainerStatus)."""
    return tuple(
        _container(pod["metadata"]["name"], status)
        for pod in pods["items"]
        for status in pod["status"].get("containerStatuses", ())
    )


def _container(pod: str, status: Mapping[str, Any]) -> Container:
    state = status["state"]
    ends = (one.get("terminated") for one in (state, status.get("lastState", {})))
    failed = next((_began(one) for one in ends if one and one["exitCode"] != 0), "")
    waiting = state.get("waiting", {}).get("reason", "")
    return Container(pod, failed, waiting, "running" in state, status["restartCount"])


def _began(ended: Mapping[str, Any]) -> str:
    # Of a container that was lost kubelet does not know when it began (ContainerStatusUnknown).
    return ended.get("startedAt") or ""


def next_try(
    plane: ControlPlane, selector: str, since: str, works: Callable[[], bool], limit: float
) -> bool:
    """Whether a container works, or one that began after a moment of the node's clock fails.

    `works` is asked while one runs; `since` is as in Container, empty for any. Raises LabError
    where neither comes within `limit` seconds.
    """
    deadline, said = time.monotonic() + limit, ""
    while time.monotonic() < deadline:
        found: tuple[Container, ...] = ()
        try:
            found, said = containers(plane, selector), ""
        except LabError as error:  # one answer of hundreds
            said = f" ({error.what})"
        if any(one.failed > since for one in found):
            return False
        if any(one.running for one in found) and works():
            return True
        time.sleep(LOOK_SECONDS)
    raise LabError(
        f"no container of {selector} has run or failed within {limit:.0f} s{said}",
        "look at them: ./lab cluster up, ./lab kubectl get pods -A",
    )


@contextmanager
def watched(plane: ControlPlane, tell: Callable[[float, str], None]) -> Iterator[None]:
    """Inside, `tell` gets each line of kubectl's watch of all pods, with the seconds since now."""
    words = ("get", "pods", "--all-namespaces", "--watch", "--no-headers")
    command = control_plane.kubectl(plane.paths, plane.programs[KUBECTL], *words)
    begun = time.monotonic()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:

        def listen() -> None:
            for line in process.stdout or ():
                tell(time.monotonic() - begun, line.rstrip())

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        try:
            yield
        finally:
            # It leads a process group of its own; sudo may stand before it.
            send([f"-{process.pid}"], "KILL")
            process.wait()
            listener.join()
