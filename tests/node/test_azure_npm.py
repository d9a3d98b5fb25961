"""azure-npm's own code beside a broken kubelet and beside a healthy one: the outage itself."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testinfra.host import Host

from chainrace.base.paths import Paths
from chainrace.judge.verdict import FIXED
from chainrace.model.mode import HEALTHY, INIT_FAILED
from chainrace.model.protocol import Release
from chainrace.node.node import Node
from chainrace.report.folder import Folder
from tests.node.fixtures import LIMIT, OUTAGE, Replay

MESSAGE = (
    "failed to detect iptables version: unable to locate which iptables version kube proxy is using"
)
HINT_SAVED = "k4 s2 k2 s* k*"
# azure-npm waits three minutes for its telemetry before it looks for its chain.
TELEMETRY_SECONDS = 400


@pytest.fixture(scope="module")
def evidence(paths: Paths) -> Path:
    """Where this session's logs of azure-npm are kept."""
    return Folder(paths.results).path


@pytest.fixture
def keep_log(
    host: Host, lab_node: Node, evidence: Path, request: pytest.FixtureRequest
) -> Iterator[None]:
    """Afterwards azure-npm is stopped, its log kept, and the node let go."""
    host.check_output("journalctl --rotate --vacuum-time=1s")
    yield
    host.check_output("systemctl stop azure-npm azure-npm-probe")
    # journalctl fails where a test was interrupted before anything of azure-npm ran.
    log = host.run("journalctl --no-pager -o cat -u 'azure-npm*'").stdout
    (evidence / f"{request.node.name}.log").write_text(f"{lab_node.identity['iptables']}\n{log}")
    lab_node.agent.ask(Release(), timeout=LIMIT)


def until(host: Host, command: str, wanted: Callable[[str], bool], seconds: float) -> str:
    """Ask again until the answer is the wanted one; the last answer."""
    deadline = time.monotonic() + seconds
    while True:
        said = str(host.run(command).stdout).strip()
        if wanted(said) or time.monotonic() > deadline:
            return said
        time.sleep(1)


def restarts(host: Host, unit: str, wanted: int, seconds: float) -> int:
    return int(
        until(
            host,
            f"systemctl show -P NRestarts {unit}",
            lambda said: int(said) >= wanted,
            seconds,
        )
    )


@pytest.mark.usefixtures("keep_log")
def test_it_crashloops_beside_the_original(host: Host, replay: Replay) -> None:
    outcome = replay(OUTAGE).outcome
    assert INIT_FAILED in outcome.families["ipv4"].modes
    assert outcome.detected_by is None
    host.check_output("systemctl start azure-npm-probe")
    assert restarts(host, "azure-npm-probe", 3, LIMIT) >= 3
    log = host.check_output("journalctl --no-pager -o cat -u azure-npm-probe")
    assert log.count(MESSAGE) >= 3


@pytest.mark.nightly
@pytest.mark.usefixtures("keep_log")
def test_the_whole_program_ends_the_same_and_is_started_again(host: Host, replay: Replay) -> None:
    replay(OUTAGE)
    host.check_output("systemctl start azure-npm")
    assert restarts(host, "azure-npm", 1, TELEMETRY_SECONDS) >= 1
    log = host.check_output("journalctl --no-pager -o cat -u azure-npm")
    assert MESSAGE in log


@pytest.mark.usefixtures("keep_log")
def test_it_boots_beside_the_fixed_script_in_the_same_order(host: Host, replay: Replay) -> None:
    assert replay(OUTAGE, FIXED).outcome.name == HEALTHY
    assert boots(host)


@pytest.mark.usefixtures("keep_log")
def test_it_boots_beside_a_kubelet_that_failed_where_the_hint_was_saved(
    host: Host, replay: Replay
) -> None:
    """The outage's symptom is not the same thing as the bug."""
    outcome = replay(HINT_SAVED).outcome
    assert outcome.families["ipv4"].modes == (INIT_FAILED,)
    assert boots(host)


def boots(host: Host) -> bool:
    """Whether azure-npm's first step succeeds and its chains are there then."""
    done = host.run("systemd-run --quiet --wait --collect --unit=azure-npm-once azure-npm-probe")
    chains = host.check_output("iptables -S")
    return done.rc == 0 and "-N AZURE-NPM" in chains and "-j AZURE-NPM" in chains
