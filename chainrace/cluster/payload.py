"""What a node of the cluster needs on its disk: Azure's network plugins, and images of pods."""

from dataclasses import replace
from pathlib import Path

from chainrace.base.paths import Paths
from chainrace.cluster import images
from chainrace.cluster.images import Image
from chainrace.host import azure, debian, golang, kubernetes, packages, recipe, setup
from chainrace.host.setup import Step
from chainrace.host.shell import run

# Debian's, which the node has besides.
NODE_PACKAGES = ("conntrack", "containernetworking-plugins")
FOLDER = "cluster"
PAUSE, PROXY, BUSYBOX = "pause", "kube-proxy", "busybox"
STATIC_BUSYBOX = "/bin/busybox"  # of Debian's busybox-static, which this host has
# Of Debian, in the images: what kube-proxy calls. They are unpacked only, which leaves out the
# names that update-alternatives(1) makes.
BASE_PACKAGES = ("conntrack", "ipset", "iptables", "libc6", "netbase", "nftables")
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
        proxy = kubernetes.ensure(paths, PROXY, version)
    with step("images of pods: pause, kube-proxy, busybox"):
        found["images.tar"] = _images(paths, version, proxy)
    return {f"{FOLDER}/{name}": path for name, path in found.items()}


def _images(paths: Paths, version: str, proxy: Path) -> Path:
    pin = kubernetes.folder(paths) / version
    inside = {PAUSE: f"/{PAUSE}", PROXY: f"/usr/local/bin/{PROXY}", BUSYBOX: f"/{BUSYBOX}"}
    made_of = [*BASE_PACKAGES, *NFT, *(f"{name} {place}" for name, place in inside.items())]
    target = paths.store / f"pods-{version}-{recipe.digest(pin, *made_of)}"

    def build(into: Path) -> None:
        into.mkdir()
        pause, base = into / PAUSE, into / "base.tar"
        _build_pause(paths, pin, version, pause)
        debian.root_archive(paths, BASE_PACKAGES, base)
        files = {PAUSE: pause, PROXY: proxy, BUSYBOX: Path(STATIC_BUSYBOX)}
        made = {
            name: Image(name_of(name), [place], {place: files[name]})
            for name, place in inside.items()
        }
        made[PROXY] = replace(made[PROXY], links=NFT, base=base)
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
