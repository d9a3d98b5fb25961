"""The kubelet of this node, whichever lab.toml names: its steps, its chains, the bug."""

import pytest

from chainrace.judge.compared import Generation
from chainrace.model.mode import HEALTHY, INIT_FAILED
from chainrace.node.node import Node
from chainrace.report.terminal import Terminal
from chainrace.run.kubelets import generation
from chainrace.settings.config import LabConfig
from chainrace.subjects.kubelet.words import HINT

pytestmark = pytest.mark.nightly
CANARIES = [f"{table} KUBE-KUBELET-CANARY" for table in ("mangle", "nat", "filter")]
# KEP-3178: the hint came with 1.24, the chains for kube-proxy went with 1.28 at the latest.
HINT_SINCE, MARKS_UNTIL = 24, 27


@pytest.fixture(scope="module")
def found(lab_node: Node, config: LabConfig, terminal: Terminal) -> Generation:
    return generation(lab_node, config, terminal.step)


@pytest.fixture
def minor(found: Generation) -> int:
    return int(found.version.split(".")[1])


def test_it_makes_the_chains_of_its_generation(found: Generation, minor: int) -> None:
    made = found.chains["ipv4"]
    assert "filter KUBE-FIREWALL" in made
    assert (f"mangle {HINT}" in made) == (minor >= HINT_SINCE)
    for chain in ("KUBE-MARK-DROP", "KUBE-MARK-MASQ", "KUBE-POSTROUTING"):
        assert (f"nat {chain}" in made) == (minor <= MARKS_UNTIL)


def test_its_canaries_come_last_of_all(found: Generation) -> None:
    for made in found.chains.values():
        assert list(made[-3:]) == CANARIES


def test_it_has_the_bug_with_the_outages_own_message(found: Generation) -> None:
    assert found.broken
    assert all(INIT_FAILED in cut.modes for cut in found.broken)


def test_the_script_before_all_of_its_steps_harms_it_not(found: Generation) -> None:
    assert found.cuts[0].schedule == "s* k*"
    assert found.cuts[0].modes == (HEALTHY,)
