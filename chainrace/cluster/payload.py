"""What a node of the cluster needs on its disk: Azure's network plugins, and images of pods."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from chainrace.base.paths import Paths
from chainrace.cluster import images
from chainrace.cluster.images import Image
from chainrace.host import azure, debian, golang, kubernetes, packages, recipe, setup
from chainrace.host.setup import Step
from chainrace.host.shell import run

# Debian's, which the node has besides.
NODE_PACKAGES = ("conntrack", "containernetworking-plugins", "netbase")
FOLDER = "cluster"
PAUSE, PROXY, NPM, BUSYBOX = "pause", "kube-proxy", "azure-npm", "busybox"
# Where each stands in its image; azure-npm's as in its maker's.
INSIDE = {
    PAUSE: f"/{PAUSE}",
    PROXY: f"/usr/local/bin/{PROXY}",
    NPM: f"/usr/bin/{NPM}",
    BUSYBOX: f"/{BUSYBOX}",
}
STATIC_BUSYBOX = "/bin/busybox"  # of Debian's busybox-static, which this host has
# Of Debian, in the images: what kube-proxy and azure-npm call. They are unpacked only, which leaves
# out the names that update-alternatives(1) makes.
BASE_PACKAGES = ("bash", "conntrack", "grep", "ipset", "iptables", "libc6", "netbase", "nftables")
NFT = {
    f"/usr/sbin/{family}{verb}": f"{family}-nft{verb}"
    for family in ("iptables", "ip6tables")
    for verb in ("", "-save", "-restore")
}
BUILD_SECONDS = 120


def ensure(paths: Paths, version: str, step: Step) -> dict[str, Path]:
    """Files by their places on the node's disk, built if need be. Raises LabError."""
    setup.install(paths, step, packages.CLUSTER)
    with step(f"azure-cni {azure.VERSION}"):
        found = azure.ensure(paths, azure.CNI)
    with step(f"kube-proxy {version}"):
        files = {PROXY: kubernetes.ensure(paths, PROXY, version)}
    with step(f"azure-npm {azure.VERSION}, as a pod has it"):
        files |= azure.ensure(paths, azure.POD, azure.TELEMETRY)
    with step(f"images of pods: {', '.join(INSIDE)}"):
        found["images.tar"] = _images(paths, version, files)
    return {f"{FOLDER}/{name}": path for name, path in found.items()}


def proxy(paths: Paths, version: str, step: Step) -> dict[str, Path]:
    """The same of a node that runs kube-proxy by itself, in no pod."""
    with step(f"kube-proxy {version}"):
        return {f"{FOLDER}/{PROXY}": kubernetes.ensure(paths, PROXY, version)}


def _images(paths: Paths, version: str, files: Mapping[str, Path]) -> Path:
    pin = kubernetes.folder(paths) / version
    folders = [path.parent.name for path in files.values()]
    made_of = [*BASE_PACKAGES, *NFT, *INSIDE.values(), *folders]
    target = paths.store / f"pods-{version}-{recipe.digest(pin, *made_of)}"

    def build(into: Path) -> None:
        into.mkdir()
        pause, base = into / PAUSE, into / "base.tar"
        _build_pause(paths, pin, version, pause)
        debian.root_archive(paths, BASE_PACKAGES, base)
        every = {**files, PAUSE: pause, BUSYBOX: Path(STATIC_BUSYBOX)}
        made = {
            name: Image(name_of(name), [place], {place: every[name]})
            for name, place in INSIDE.items()
        }
        made[PROXY] = replace(made[PROXY], links=NFT, base=base)
        made[NPM] = replace(made[NPM], entrypoint=[INSIDE[NPM], "start"], links=NFT, base=base)
        images.write(list(made.values()), into / "images.tar")
        base.unlink()

    recipe.build_once(target, build)
    return target / "images.tar"


def name_of(program: str) -> str:
    """The image of a program: of the lab's own making, no registry has it."""
    return f"localhost/{program}:lab"


def _build_pause(paths: Paths, pin: Path, version: str, target: Path) -> None:
    """The program that holds a pod's namespaces, from the source of this version."""
    source = golang.source(paths, pin, "k8s.io/kubernetes") / "build/pause/linux/pause.c"
    run(
        ["gcc", "-Os", "-static", f"-DVERSION=v{version}", "-o", str(target), str(source)],
        remedy=f"see {source}",
        timeout=BUILD_SECONDS,
    )
