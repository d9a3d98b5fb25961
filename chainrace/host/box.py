"""The Vagrant box: a thin disk over the node image, so that adding it costs nothing.

vagrant-libvirt uploads a box's disk into the pool and, killed in the middle, later
uses the truncated volume without a word. Two hundred kilobytes leave no such window.
"""

import json
import os
import shutil
import tarfile
from pathlib import Path

from chainrace.base.paths import Paths
from chainrace.host import recipe
from chainrace.host.image import Image
from chainrace.host.shell import run


def ensure(paths: Paths, image: Image) -> Path:
    """The .box file of an image, made if need be."""
    target = folder(paths, image)
    recipe.build_once(target, lambda partial: _build(image, partial))
    return target / "node.box"


def folder(paths: Paths, image: Image) -> Path:
    """Where the box of an image stands, or would stand."""
    return paths.store / f"box-{image.folder.name.removeprefix('image-')}"


def name(paths: Paths, image: Image) -> str:
    """The name under which Vagrant knows it: this clone's own."""
    return f"{paths.prefix}-{image.folder.name.removeprefix('image-')}"


def forget(paths: Paths) -> None:
    """Take this clone's boxes out of Vagrant's own folder (~/.vagrant.d)."""
    home = Path(os.environ.get("VAGRANT_HOME", Path.home() / ".vagrant.d"))
    for box in (home / "boxes").glob(f"{paths.prefix}-*"):
        shutil.rmtree(box)


def _build(image: Image, folder: Path) -> None:
    tree = folder / "tree"
    tree.mkdir(parents=True)
    size = (image.folder / "root.raw").stat().st_size
    run(
        [
            *("qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw"),
            *("-b", image.inside("root.raw"), str(tree / "box.img"), str(size)),
        ],
        remedy="see qemu-img's message",
        timeout=60,
    )
    (tree / "metadata.json").write_text(
        json.dumps({"provider": "libvirt", "format": "qcow2", "virtual_size": -(-size // 2**30)})
    )
    (tree / "Vagrantfile").write_text("# Everything stands in the project's own Vagrantfile.\n")
    with tarfile.open(folder / "node.box", "w:gz") as box:
        for file in sorted(tree.iterdir()):
            box.add(file, arcname=file.name)
    shutil.rmtree(tree)
