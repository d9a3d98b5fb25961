"""Container images of local programs and folders, in the format that `ctr images import` reads."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Image:
    """An image: its name, what it runs, files and links in it by their places, a base below."""

    name: str
    entrypoint: Sequence[str]
    files: Mapping[str, Path] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)  # where each leads
    base: Path | None = None  # a root file system, as an uncompressed tar archive


def write(images: Sequence[Image], target: Path) -> None:
    """Write images as one docker-archive: the same bytes for the same contents.

    A layer that several have is in it once. Format: moby, image/spec/v1.2.md (manifest.json, for
    each image its configuration and layers).
    """
    manifest = []
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        for image in images:
            layers = [] if image.base is None else [image.base.read_bytes()]
            if image.files or image.links:
                layers.append(_layer(image))
            digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
            configuration = _configuration(image, digests)
            name = f"{hashlib.sha256(configuration).hexdigest()}.json"
            paths = [f"{digest}/layer.tar" for digest in digests]
            for path, data in (*zip(paths, layers, strict=True), (name, configuration)):
                if path not in archive.getnames():
                    _add(archive, path, data)
            manifest.append({"Config": name, "RepoTags": [image.name], "Layers": paths})
        _add(archive, "manifest.json", json.dumps(manifest).encode())


def _configuration(image: Image, digests: Sequence[str]) -> bytes:
    return json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": list(image.entrypoint), "Env": [PATH]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one}" for one in digests]},
        }
    ).encode()


def _layer(image: Image) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for place, file in sorted(image.files.items()):
            _add(archive, place.lstrip("/"), file.read_bytes(), mode=0o755)
        for place, leads_to in sorted(image.links.items()):
            link = tarfile.TarInfo(place.lstrip("/"))
            link.type, link.linkname = tarfile.SYMTYPE, leads_to
            archive.addfile(link)
    return made.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes, *, mode: int = 0o644) -> None:
    about = tarfile.TarInfo(name)
    about.size, about.mode = len(data), mode
    archive.addfile(about, io.BytesIO(data))
