"""Debian's archive, as this host's own apt knows it."""

import hashlib
import tarfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.host.shell import as_root, run

DOWNLOAD_SECONDS = 600
BUILD_SECONDS = 1800
SUITE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def mirror() -> str:
    """The archive that this host's apt uses: images and sources come from there too.

    Raises LabError where it knows none.
    """
    listing = run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)"],
        remedy="run apt-get update, then try again",
        timeout=60,
    )
    for line in listing.splitlines():
        # Debian|Debian|main|http://archive.example/debian/
        origin, label, component, address = line.split("|", 3)
        if (origin, label, component) == ("Debian", "Debian", "main"):
            return address
    raise LabError(
        "this host's apt knows no Debian archive", "add one to its sources and run apt-get update"
    )


def root_archive(paths: Paths, packages: Sequence[str], target: Path) -> None:
    """Write packages and all that they depend on, unpacked, as a tar archive. Raises LabError.

    Nothing of them is configured: a quarter of a minimal root file system.
    """
    log = paths.logs / f"{target.name}.log"
    minimal = ["--mode=root", "--variant=extract", "--quiet", f"--include={','.join(packages)}"]
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
    command = ["mmdebstrap", *minimal, f"--keyring={KEYRING}", *left_out, SUITE, str(target)]
    run(as_root([*command, mirror()]), remedy=f"see {log}", timeout=BUILD_SECONDS, log=log)


def unpack_source(pin: Path, folder: Path) -> None:
    """Unpack the source archive that a file pins into a folder.

    The file has one line as sha256sum(1) writes it, the name being the path in the
    archive: `b83c07... pool/main/k/kubernetes/kubernetes_1.20.orig.tar.gz`. Raises LabError
    for an archive that cannot be had or is another one.
    """
    wanted, path = pin.read_text().split()
    archive = folder.parent / "source.tar.gz"
    folder.mkdir(parents=True)
    try:
        with urllib.request.urlopen(  # noqa: S310 - the host's own archive
            f"{mirror().rstrip('/')}/{path}", timeout=DOWNLOAD_SECONDS
        ) as answer:
            archive.write_bytes(answer.read())
    except urllib.error.URLError as error:
        raise LabError(
            f"Debian's archive does not serve {path}: {error.reason}", "is the archive reachable?"
        ) from error
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != wanted:
        raise LabError(f"{path} is not the one that is pinned: sha256 {found}", f"see {pin}")
    with tarfile.open(archive) as tar:
        # Without the archive's own top folder.
        for member in tar:
            member.name = member.name.partition("/")[2]
            if member.name:
                tar.extract(member, folder, filter="data")
    archive.unlink()
