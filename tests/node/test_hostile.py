"""A node whose words are made to act on whoever reads them, or never end."""

from collections.abc import Iterator

import pytest

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.node.node import Node
from tests.node.fixtures import Racer

pytestmark = pytest.mark.nightly

SAYS = "/usr/local/lib/chainrace/says"
# A title for the terminal, colours, a turned order of letters, and what a browser would run.
WORDS = (
    "\\033]0;owned\\007\\033[31m\\342\\200\\256"
    "<script>alert(1)</script><img src=x onerror=alert(2)>"
)
DROP_IN = "/run/systemd/system/kubelet.service.d"
BEGIN = f"""
printf '%s\\n' '#!/bin/sh' "printf '{WORDS}\\\\n'" >{SAYS}
chmod 755 {SAYS}
mkdir -p {DROP_IN}
printf '[Service]\\nExecStartPre={SAYS}\\n' >{DROP_IN}/hostile.conf
systemctl daemon-reload
"""
END = f"rm -rf {DROP_IN} {SAYS}; systemctl daemon-reload"


@pytest.fixture
def hostile(lab_node: Node) -> Iterator[None]:
    lab_node.connection.succeed(BEGIN)
    yield
    lab_node.connection.succeed(END)


@pytest.mark.usefixtures("hostile")
def test_nothing_that_a_node_says_acts_on_whoever_reads_the_results(
    racer: Racer, paths: Paths
) -> None:
    before = set(paths.results.glob("*"))
    folder = racer(1).folder
    files = [file for file in folder.rglob("*") if file.is_file() and file.suffix != ".png"]
    texts = {file: file.read_text() for file in files}
    assert "<script>alert" in texts[folder / "reference" / "kubelet.log"]
    for file, text in texts.items():
        assert not {"\x1b", "\x07", "\u202e"} & set(text), file
    page = texts[folder / "report.html"]
    assert "<script>alert" not in page
    assert "<img" not in page
    assert set(paths.results.iterdir()) - before <= {folder, paths.results / "latest"}


@pytest.mark.parametrize("command", ["yes", "yes >&2"])
def test_a_command_that_never_stops_talking_is_cut_off(lab_node: Node, command: str) -> None:
    with pytest.raises(LabError, match=f"{command} said more than 64 MiB"):
        lab_node.connection.run(command, timeout=600)
    assert lab_node.connection.succeed("echo still here") == "still here\n"


def test_a_command_that_drips_is_not_waited_for(lab_node: Node) -> None:
    with pytest.raises(LabError, match="did not end within 3 s"):
        lab_node.connection.run("while :; do printf x; sleep 0.2; done", timeout=3)
    assert lab_node.connection.succeed("echo still here") == "still here\n"
