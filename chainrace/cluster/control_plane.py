"""etcd, API server, controller manager and scheduler in the lab's own network namespace.

Azure's metadata service stands beside them.

The API server listens on the address of the nodes' bridge alone, etcd on the namespace's
loopback, which no node reaches; the other two do not listen. `./lab down` ends them with all
that runs in the namespace.
"""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from chainrace.base.errors import LabError
from chainrace.base.files import link_whole, write_whole
from chainrace.base.paths import Paths
from chainrace.cluster import authority, kubeconfig, metadata
from chainrace.cluster.authority import ACCOUNTS, API_SERVER, Authority
from chainrace.host.libvirt import BRIDGE, GATEWAY
from chainrace.host.setup import Step
from chainrace.host.shell import MARK, as_root, run, send, tail

PORT, ETCD_PORT, ETCD_PEER_PORT = 6443, 2379, 2380
SERVER = f"https://{GATEWAY}:{PORT}"
SERVICES = "10.0.0.0/16"  # as AKS has it by default
API_ADDRESS = "10.0.0.1"  # the first of the services' addresses is the API server's
API_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
ADMIN, ETCD, KUBECTL = "admin", "etcd", "kubectl"
CONTROLLERS, SCHEDULER = "kube-controller-manager", "kube-scheduler"
METADATA = "metadata"
READY_SECONDS = 180.0
LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class ControlPlane:
    """One that runs. `programs` are its files, `running` its processes, each by name."""

    paths: Paths
    programs: Mapping[str, Path]
    running: Mapping[str, subprocess.Popen[bytes]]

    @property
    def made(self) -> Authority:
        return Authority(folder(self.paths) / "pki")

    def kubectl(self, *words: str, timeout: float = 60.0) -> str:
        """What kubectl prints, as the administrator. Raises LabError where it fails."""
        return run(
            kubectl(self.paths, self.programs[KUBECTL], *words),
            remedy=f"see {self.paths.logs / f'{API_SERVER}.log'}",
            timeout=timeout,
            called=shlex.join((KUBECTL, *words)),
        )


def folder(paths: Paths) -> Path:
    """What a cluster keeps while it runs: certificates, etcd's data."""
    return paths.state / "cluster"


def kubectl(paths: Paths, program: Path, *words: str) -> list[str]:
    """The command of kubectl's, as the administrator, from within the lab's namespace."""
    config = f"--kubeconfig={_kubeconfig(paths, ADMIN)}"
    cache = f"--cache-dir={folder(paths) / 'kubectl'}"  # else in the user's home
    return _inside(paths, [str(program), config, cache, *words])


def is_running(paths: Paths) -> bool:
    """Whether there is an API server in this clone's namespace."""
    return PORT in _listening(paths)


def start(paths: Paths, programs: Mapping[str, Path], step: Step) -> ControlPlane:
    """Start all four, with a new authority and an empty etcd, and wait until it is ready.

    Raises LabError where a port is taken, or where it does not get ready within its limit; then
    with the last line of the log of what has ended.
    """
    if taken := _listening(paths):
        raise LabError(
            f"the port {taken[0]} of the lab's namespace is taken", "./lab down ends what has it"
        )
    found = ControlPlane(paths, programs, {})
    forget(paths)
    authority.make(found.made.folder, [GATEWAY, API_ADDRESS], API_NAMES)
    for client in authority.CLIENTS:
        write_whole(_kubeconfig(paths, client), kubeconfig.text(found.made, client, SERVER))
    link_whole(folder(paths) / KUBECTL, str(programs[KUBECTL]))
    _make_room_for_metadata(paths)
    with step("the control plane: etcd, API server, controllers, scheduler"):
        return _run(found)


@contextmanager
def beside(
    paths: Paths, programs: Mapping[str, Path], step: Step, stays: Callable[[], bool]
) -> Iterator[ControlPlane]:
    """One that runs already, or one that is started now, and ended afterwards unless it `stays`.

    Raises LabError as `start`.
    """
    if is_running(paths):
        yield ControlPlane(paths, programs, {})
        return
    plane = start(paths, programs, step)
    try:
        yield plane
    finally:
        if not stays():
            _end(plane.running)
            forget(paths)


def anew(plane: ControlPlane) -> ControlPlane:
    """The same with an empty etcd: no node, no pod. Its certificates stay. Raises LabError."""
    _end(plane.running)
    _remove(folder(plane.paths) / ETCD)
    return _run(plane)


def _run(plane: ControlPlane) -> ControlPlane:
    """Start its programs, and wait until it is ready."""
    paths, programs = plane.paths, plane.programs
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, words in _arguments(paths, plane.made).items():
            running[name] = _launch(paths, name, [str(programs[name]), *words])
        running[METADATA] = _launch(
            paths, METADATA, [sys.executable, "-I", "-m", metadata.__name__]
        )
        found = replace(plane, running=running)
        _wait(found)
    except BaseException:
        _end(running)
        raise
    return found


def _end(running: Mapping[str, subprocess.Popen[bytes]]) -> None:
    # Each leads a process group of its own; sudo may stand before it.
    send([f"-{process.pid}" for process in running.values()], "KILL")
    for process in running.values():
        process.wait()


def forget(paths: Paths) -> None:
    """Remove what a cluster has kept: certificates, etcd's data."""
    _remove(folder(paths))


def _remove(place: Path) -> None:
    run(as_root(["rm", "-rf", str(place)]), remedy=f"remove {place}", timeout=60)


def _arguments(paths: Paths, made: Authority) -> dict[str, list[str]]:
    etcd = f"http://127.0.0.1:{ETCD_PORT}"
    peer = f"http://127.0.0.1:{ETCD_PEER_PORT}"
    return {
        ETCD: [
            f"--data-dir={folder(paths) / ETCD}",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",  # it need not outlive a crash of its host
            "--log-level=warn",
        ],
        API_SERVER: [
            f"--etcd-servers={etcd}",
            f"--bind-address={GATEWAY}",
            f"--advertise-address={GATEWAY}",
            f"--secure-port={PORT}",
            f"--tls-cert-file={made.certificate(API_SERVER)}",
            f"--tls-private-key-file={made.key(API_SERVER)}",
            f"--client-ca-file={made.certificate()}",
            f"--kubelet-client-certificate={made.certificate(ADMIN)}",
            f"--kubelet-client-key={made.key(ADMIN)}",
            f"--service-account-key-file={made.folder / f'{ACCOUNTS}.pub'}",
            f"--service-account-signing-key-file={made.key(ACCOUNTS)}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-cluster-ip-range={SERVICES}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--kubelet-preferred-address-types=InternalIP",
        ],
        CONTROLLERS: [
            f"--kubeconfig={_kubeconfig(paths, CONTROLLERS)}",
            f"--service-account-private-key-file={made.key(ACCOUNTS)}",
            f"--root-ca-file={made.certificate()}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--secure-port=0",
        ],
        SCHEDULER: [
            f"--kubeconfig={_kubeconfig(paths, SCHEDULER)}",
            "--leader-elect=false",
            "--secure-port=0",
        ],
    }


def _make_room_for_metadata(paths: Paths) -> None:
    """Azure's address of it, at the nodes' bridge; its port, for whoever this user is."""
    inside = ["ip", "netns", "exec", paths.prefix]
    address = f"{metadata.ADDRESS}/32"
    allowed = f"echo {metadata.PORT} >/proc/sys/net/ipv4/ip_unprivileged_port_start"
    for command in (
        ["ip", "-n", paths.prefix, "address", "replace", address, "dev", BRIDGE],
        [*inside, "sh", "-c", allowed],
    ):
        run(as_root(command), remedy="./lab down", timeout=30)


def _kubeconfig(paths: Paths, client: str) -> Path:
    return folder(paths) / "pki" / f"{client}.kubeconfig"


def _inside(paths: Paths, command: list[str]) -> list[str]:
    """A command in the lab's namespace, with this user's rights."""
    user = [f"--reuid={os.getuid()}", f"--regid={os.getgid()}", "--clear-groups"]
    enter = ["nsenter", f"--net=/run/netns/{paths.prefix}"]
    # It outlives the command that starts it.
    return [*as_root(["env", "-u", MARK, *enter, "setpriv", *user]), *command]


def _launch(paths: Paths, name: str, command: list[str]) -> subprocess.Popen[bytes]:
    paths.logs.mkdir(parents=True, exist_ok=True)
    with (paths.logs / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            _inside(paths, command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # sudo stays before it, and what bears the mark is ended with the command.
            env={name: value for name, value in os.environ.items() if name != MARK},
        )


def _wait(found: ControlPlane) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        for name, process in found.running.items():
            if process.poll() is not None:
                raise _failed(found.paths, name, f"ended with {process.returncode}")
        try:
            found.kubectl("get", "--raw", "/readyz")
        except LabError as error:
            if time.monotonic() > deadline:
                limit = f"is not ready after {READY_SECONDS:.0f} s ({error.what})"
                raise _failed(found.paths, API_SERVER, limit) from error
            time.sleep(LOOK_SECONDS)
        else:
            return


def _failed(paths: Paths, name: str, what: str) -> LabError:
    log = paths.logs / f"{name}.log"
    return LabError(f"{name} {what}: {tail(log, 1)}", f"see {log}, or start anew: ./lab down")


def _listening(paths: Paths) -> list[int]:
    """Those of its ports that somebody listens on in the namespace."""
    said = run(
        as_root(["ip", "netns", "exec", paths.prefix, "ss", "-Hltn"]),
        remedy="./lab down",
        timeout=30,
    )
    # LISTEN 0 4096 127.0.0.1:2379 0.0.0.0:*
    ports = {line.split()[3].rpartition(":")[2] for line in said.splitlines()}
    return [port for port in (ETCD_PORT, ETCD_PEER_PORT, PORT) if str(port) in ports]
