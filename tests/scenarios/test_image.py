"""Images of one's own, on nodes: those of the project's recipe, in a clone."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from chainrace.base.errors import USAGE_EXIT
from chainrace.base.paths import REPOSITORY, Paths
from chainrace.host import debian, kubelet, packages
from chainrace.report.terminal import Terminal
from chainrace.settings.config import KubeletConfig
from tests.node.fixtures import OUTAGE
from tests.scenarios.conftest import run_as_it_stands

pytestmark = pytest.mark.nightly
RECIPE = REPOSITORY / "provision" / "own-image" / "debian" / "build.sh"
# Not the lab's own choice: whose kubelet is judged can be told from its version.
OWN_KUBELET = "1.30.14"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, paths: Paths, terminal: Terminal) -> Path:
    """The folder of both images: exposed.qcow2, masked.vhd, and a user's key."""
    if absent := packages.missing(packages.TESTS):
        packages.install(absent, paths.logs / "apt.log")
    own = kubelet.ensure(paths, KubeletConfig(version=OWN_KUBELET))
    folder = tmp_path_factory.mktemp("images") / "debian"
    with terminal.step("example images from provision/own-image/debian"):
        subprocess.run([RECIPE, folder, debian.mirror(), own], check=True, capture_output=True)
    return folder


def told(said: str) -> dict[str, Any]:
    """The verdict that --json printed."""
    return dict(json.loads(next(line for line in said.splitlines() if line.startswith("{"))))


def test_an_image_boots_by_uefi_and_its_own_kubelet_and_service_are_judged(
    clone: Path, images: Path
) -> None:
    image = images / "exposed.qcow2"
    before = hashlib.sha256(image.read_bytes()).digest()
    code, said = run_as_it_stands(f"./lab run --image {image} --evidence exploration --json", clone)
    assert code == 0, said
    verdict = told(said)
    assert verdict["verdict"] == "harmless"
    assert verdict["image"]["service"] == "enabled"
    assert verdict["node"]["kubelet"] == verdict["image"]["kubelet"]
    assert verdict["node"]["kubelet"].endswith(OWN_KUBELET)
    assert hashlib.sha256(image.read_bytes()).digest() == before


def test_the_outage_is_there_for_a_user_who_logs_in_by_a_key(clone: Path, images: Path) -> None:
    who = f"--image {images}/exposed.qcow2 --user azureuser --key {images}/azureuser"
    code, said = run_as_it_stands(f"./lab replay '{OUTAGE}' {who}", clone)
    assert code == 1, said
    assert "init_failed" in said


def test_an_image_whose_unit_is_masked_is_not_exposed(clone: Path, images: Path) -> None:
    code, said = run_as_it_stands(f"./lab run --image {images}/masked.vhd --json", clone)
    assert code == 0, said
    verdict = told(said)
    assert verdict["verdict"] == "not exposed"
    assert verdict["image"]["service"] == "masked"
    assert "masked" in verdict["reason"]


def test_what_is_no_image_is_refused_before_anything_is_brought_up(clone: Path) -> None:
    code, said = run_as_it_stands("./lab run --image README.md", clone)
    assert code == USAGE_EXIT
    assert "README.md is neither qcow2" in said
