"""A node that falls sick between the reference and the trials: never health, never the bug."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.explore.scripts import bring_script
from chainrace.judge.verdict import INCONCLUSIVE
from chainrace.model.backends import LEGACY
from chainrace.model.mode import ENVIRONMENT
from chainrace.node import backend
from chainrace.node.node import Node
from chainrace.report.results import ResultsFolder, judge_again
from chainrace.report.terminal import Terminal
from chainrace.report.trials import read_trials
from chainrace.run import session
from chainrace.run.evidence import Evidence
from chainrace.run.trials import SCRIPTS_ON_NODE, Limits, TrialRun
from chainrace.settings.amount import Amount
from chainrace.settings.config import LabConfig
from chainrace.settings.keeping import Keeping

pytestmark = pytest.mark.nightly

SECONDS = 60.0
RETRIES = 1
DROP_IN = "/run/systemd/system/kubelet.service.d"
WELL = f"rm -rf {DROP_IN}; systemctl daemon-reload"

FILL = """
free=$(($(stat -f -c %f /) * $(stat -f -c %S /)))
fallocate -l $((free - 1048576)) /full
dd if=/dev/zero of=/fuller bs=4k 2>/dev/null || true
"""
HANG = """
mv /usr/sbin/iptables-save /usr/sbin/iptables-save.well
printf '#!/bin/sh\\nexec sleep 900\\n' >/usr/sbin/iptables-save
chmod +x /usr/sbin/iptables-save
"""


def kubelet(*lines: str) -> str:
    """A command that changes kubelet's unit until the next boot."""
    text = "\\n".join(("[Service]", *lines, ""))
    return f"mkdir -p {DROP_IN}; printf '{text}' >{DROP_IN}/sick.conf; systemctl daemon-reload"


# What is done to the node, what undoes it, and what the lab says of it.
SICK = {
    "a kubelet that logs nothing": (
        kubelet("StandardOutput=null", "StandardError=null"),
        WELL,
        "kubelet has not gone beyond its iptables initialisation",
    ),
    "a kubelet without memory": (
        kubelet("MemoryMax=16M", "MemorySwapMax=0"),
        WELL,
        "kubelet ended with",
    ),
    "a unit that only loops": (
        kubelet("ExecStart=", "ExecStart=/bin/false", "Restart=always", "RestartSec=100ms"),
        WELL,
        "kubelet ended with|kubelet has not gone beyond",
    ),
    "no containerd": (
        "systemctl mask --runtime containerd; systemctl stop containerd",
        "systemctl unmask --runtime containerd; systemctl start containerd",
        "kubelet ended with",
    ),
    "a full disk": (FILL, "rm -f /full /fuller", "the node's disk is full"),
    "iptables that hangs, as behind a lock held for ever": (
        HANG,
        "rm /usr/sbin/iptables-save; mv /usr/sbin/iptables-save.well /usr/sbin/iptables-save",
        "iptables-save",
    ),
}


@contextmanager
def sick(node: Node, begin: str, end: str) -> Iterator[None]:
    node.connection.run(begin, timeout=120)
    try:
        yield
    finally:
        node.connection.run(end, timeout=120)


@pytest.fixture
def race(lab_node: Node, paths: Paths, terminal: Terminal) -> Callable[[], TrialRun]:
    """A run with little patience."""

    def make() -> TrialRun:
        return TrialRun(
            agent=lab_node.agent,
            folder=ResultsFolder(paths.results),
            console=paths.console(lab_node.machine.name),
            limits=Limits(Amount(1), SECONDS, RETRIES),
            tell=terminal.trial,
            seed=1,
            scripts=SCRIPTS_ON_NODE,
        )

    return make


@pytest.mark.parametrize(("begin", "end", "told"), SICK.values(), ids=SICK.keys())
def test_a_sick_node_ends_as_a_broken_environment(
    lab_node: Node, race: Callable[[], TrialRun], begin: str, end: str, told: str
) -> None:
    run = race()
    reference = run.take_reference()
    with sick(lab_node, begin, end), pytest.raises(LabError, match="in a row broke") as caught:
        run.run(reference)
    assert re.search(told, str(caught.value)), caught.value
    stored = read_trials(run.folder.path)
    # Tried again as often as is configured, and no more.
    assert [record.outcome for record in stored] == [ENVIRONMENT] * (1 + RETRIES)
    assert all(record.error for record in stored)
    assert len(list((run.folder.path / "trials").iterdir())) == len(stored)
    assert judge_again(run.folder.path).verdict == INCONCLUSIVE


LOCK = "systemd-run --quiet --unit=holder flock /run/xtables.lock sleep infinity"


def test_a_lock_held_for_ever_is_a_broken_environment(
    lab_node: Node, race: Callable[[], TrialRun]
) -> None:
    """Only legacy iptables takes it (iptables(8), -w)."""
    backend.use(lab_node.connection, LEGACY)
    try:
        run = race()
        reference = run.take_reference()
        with (
            sick(lab_node, LOCK, "systemctl stop holder"),
            pytest.raises(LabError, match=r"in a row broke.*lock") as caught,
        ):
            run.run(reference)
    finally:
        backend.use(lab_node.connection, lab_node.identity["backend"])
    assert "init" not in str(caught.value)
    assert {record.outcome for record in read_trials(run.folder.path)} == {ENVIRONMENT}


def test_a_node_that_is_well_again_is_raced_as_before(race: Callable[[], TrialRun]) -> None:
    run = race()
    run.run(run.take_reference())
    assert ENVIRONMENT not in {record.outcome for record in run.records}


def test_a_clock_that_jumps_by_hours_changes_no_outcome(
    lab_node: Node, race: Callable[[], TrialRun]
) -> None:
    run = race()
    reference = run.take_reference()
    with sick(lab_node, "date -s '+3 hours'", "date -s '-3 hours'"):
        run.run(reference)
    fixed = {record.outcome for record in run.records if record.script == "fixed"}
    assert fixed == {"healthy"}


def test_a_trial_goes_on_when_ssh_is_cut(lab_node: Node, race: Callable[[], TrialRun]) -> None:
    """The agent is asked by the virtual machine's own port."""
    run = race()
    reference = run.take_reference()
    with lab_node.connection.closed_meanwhile():
        run.run(reference)
    assert ENVIRONMENT not in {record.outcome for record in run.records}


PANIC = "#!/bin/sh\necho 1 >/proc/sys/kernel/sysrq\necho c >/proc/sysrq-trigger\n"


def test_a_kernel_that_panics_in_a_trial_ends_the_run_with_its_console(
    paths: Paths, config: LabConfig, terminal: Terminal, tmp_path: Path
) -> None:
    file = tmp_path / "panic.sh"
    file.write_text(PANIC)
    with session.node_up(paths, config, terminal.step, Keeping(), name="node2") as node:
        folder = ResultsFolder(paths.results)
        limits = config.limits.model_copy(update={"trial": int(SECONDS)})
        evidence = Evidence(paths, [node], limits, folder, terminal)
        scripts = {name: bring_script([node], file).path for name in SCRIPTS_ON_NODE}
        with pytest.raises(LabError, match=r"no answer|the agent ended"), evidence.concluded():
            evidence.trials(scripts, Amount(1))
    document = json.loads((folder.path / "verdict.json").read_text())
    assert document["verdict"] == INCONCLUSIVE
    assert document["interrupted"]
    (trial,) = read_trials(folder.path)
    assert trial.outcome == ENVIRONMENT
    (kept,) = (folder.path / "trials").iterdir()
    assert "panic" in (kept / "console.log").read_text()
    assert "panic" in (folder.path / "node2.log").read_text()
    assert "the kernel gave up" in [one["means"] for one in document["known_bad_lines"]]
