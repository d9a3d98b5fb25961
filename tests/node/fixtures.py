"""The node for the suites, and what they share. One node, one race a session."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import testinfra
from _pytest.capture import CaptureManager
from testinfra.host import Host as TestinfraHost

from chainrace.base.paths import Paths
from chainrace.explore.options import Options
from chainrace.explore.replay import Replayer
from chainrace.explore.run import ExplorationRun
from chainrace.explore.scripts import Script, bring_script
from chainrace.explore.views import Reference
from chainrace.host import libvirt
from chainrace.host.keys import ROOT
from chainrace.judge.explored import Explored
from chainrace.judge.replayed import Replayed
from chainrace.judge.verdict import ORIGINAL, Verdict
from chainrace.model import schedule
from chainrace.node.node import Node
from chainrace.report.results import ResultsFolder, judge_again
from chainrace.report.terminal import Terminal
from chainrace.report.trials import Record, read_trials
from chainrace.run import reboot as rebooting
from chainrace.run import session
from chainrace.run.evidence import Evidence
from chainrace.run.trials import SCRIPTS_ON_NODE
from chainrace.settings import config as configuration
from chainrace.settings.amount import Amount
from chainrace.settings.config import LabConfig
from chainrace.settings.keeping import Keeping


@dataclass(frozen=True)
class Race:
    """A finished race: its verdict, its trials, and where its evidence lies."""

    verdict: Verdict
    trials: list[Record]
    folder: Path

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "verdict.json").read_text()))


# a line: net.netfilter.nf_conntrack_count = 17
COUNTED = re.compile(r"^net\.netfilter\.nf_conntrack_(count|buckets) = .*$", re.MULTILINE)

Racer = Callable[..., Race]
Replay = Callable[..., Replayed]
Bring = Callable[[str], Script]
Explore = Callable[..., tuple[Explored, list[Replayed]]]

# Seconds for each wait of a trial by explore.
LIMIT = 120.0
BOOT_SECONDS = 300.0
HEAD = "#!/bin/sh\n"
# The outage's own interleaving of the original (docs/outcomes.md).
OUTAGE = "s2 k8 s* k*"


class Shown(Terminal):
    """A terminal that speaks past pytest's capture: minutes of silence help nobody."""

    def __init__(self, capture: CaptureManager | None) -> None:
        super().__init__()
        self._capture = capture

    def note(self, text: str) -> None:
        """Print a line, whatever pytest captures."""
        with self._capture.global_and_fixture_disabled() if self._capture else nullcontext():
            Terminal().say(text)


@pytest.fixture(scope="session")
def terminal(request: pytest.FixtureRequest) -> Terminal:
    return Shown(request.config.pluginmanager.getplugin("capturemanager"))


@pytest.fixture(scope="session")
def paths() -> Paths:
    return Paths()


def host_state() -> dict[str, str]:
    """The host's own interfaces, packet filters and settings, as far as its tools tell.

    Without counters: of connections, and of memory that is free.
    """
    looks = {
        "interfaces": ["ip", "-o", "link"],
        "nft": ["nft", "--stateless", "list", "ruleset"],
        "iptables": ["iptables-save"],
        "ip6tables": ["ip6tables-save"],
        "settings": ["sysctl", "--all", "--pattern", "^(net|vm)[.]"],
    }
    said = {
        name: subprocess.run(command, capture_output=True, text=True, check=False).stdout
        for name, command in looks.items()
        if shutil.which(command[0])
    }
    return {name: COUNTED.sub("", text) for name, text in said.items()}


@pytest.fixture(scope="session")
def host_before(paths: Paths) -> dict[str, str] | None:
    """The host before anything of the lab is up; None where something already is."""
    return None if libvirt.is_running(paths) else host_state()


@pytest.fixture(scope="session")
def config(request: pytest.FixtureRequest) -> LabConfig:
    return configuration.load(backend=request.config.getoption("--backend"))


@pytest.fixture(scope="session")
def lab_node(
    paths: Paths, config: LabConfig, terminal: Terminal, host_before: dict[str, str] | None
) -> Iterator[Node]:
    """The node: the one that `vagrant up` brought, or one of this session's own."""
    del host_before  # asked for so that it is taken first
    with session.node_up(paths, config, terminal.step, Keeping()) as node:
        yield node


@pytest.fixture(scope="session")
def host(lab_node: Node, paths: Paths) -> TestinfraHost:
    """The same node as testinfra sees it, over paramiko."""
    seen = testinfra.get_host(
        f"paramiko://{lab_node.machine.name}",
        ssh_config=str(paths.ssh_config),
        sudo=lab_node.connection.user != ROOT,
    )
    # testinfra's own client would only warn of a host key it does not know.
    seen.backend.client = lab_node.connection.client
    return seen


@pytest.fixture(scope="session")
def racer(lab_node: Node, paths: Paths, config: LabConfig, terminal: Terminal) -> Racer:
    """Runs a race on the node; `scripts` may put other scripts into the two arms."""

    def run(pairs: int, scripts: Mapping[str, str] = SCRIPTS_ON_NODE) -> Race:
        folder = ResultsFolder(paths.results)
        evidence = Evidence(paths, [lab_node], config.limits, folder, terminal)
        with folder, evidence.concluded():
            evidence.trials(scripts, Amount(pairs))
        return Race(judge_again(folder.path), read_trials(folder.path), folder.path)

    return run


@pytest.fixture(scope="session")
def race(racer: Racer, request: pytest.FixtureRequest) -> Race:
    """The race of the original against the fix, as `./lab run` does it."""
    return racer(request.config.getoption("--pairs"))


@pytest.fixture(scope="session")
def replay(lab_node: Node) -> Replay:
    """Replays a schedule from a fresh start: of the original where no other script is named."""
    references: dict[str, Reference] = {}

    def run(name: str, script: str = ORIGINAL) -> Replayed:
        replayer = Replayer(lab_node.agent, SCRIPTS_ON_NODE[script], LIMIT)
        backend = lab_node.connection.succeed("iptables --version")
        if backend not in references:
            references[backend] = replayer.reference()
        return replayer.run(schedule.parse(name), references[backend])

    return run


@pytest.fixture
def own_script(lab_node: Node, tmp_path: Path) -> Bring:
    """Puts a script of these lines onto the node."""

    def bring(text: str) -> Script:
        file = tmp_path / "own.sh"
        file.write_text(HEAD + text)
        return bring_script([lab_node], file)

    return bring


@pytest.fixture(scope="session")
def explore(lab_node: Node, paths: Paths, terminal: Terminal) -> Explore:
    """Explores a script on the node as `./lab explore` does."""

    def run(
        script: Script,
        options: Options = Options(),  # noqa: B008 - frozen
        node: Node = lab_node,
    ) -> tuple[Explored, list[Replayed]]:
        kept: list[Replayed] = []
        exploring = ExplorationRun(
            paths,
            [node],
            script,
            options,
            limit=LIMIT,
            teller=terminal,
            keep=lambda _, last: kept.append(last),
        )
        exploring.run()
        return exploring.explored, kept

    return run


def reboot(lab_node: Node, host: TestinfraHost) -> None:
    """Boot the node anew; its agent and its connections are there again afterwards."""
    rebooting.reboot(Paths(), lab_node, limit=BOOT_SECONDS)
    host.backend.client = lab_node.connection.client


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A run of the node suites in which none of them passed proves nothing: it fails."""
    asked = [item for item in session.items if "tests/node/" in item.nodeid]
    reporter = session.config.pluginmanager.getplugin("terminalreporter")
    passed = reporter.stats.get("passed", []) if reporter else []
    ran = [report for report in passed if "tests/node/" in report.nodeid]
    collecting = session.config.getoption("collectonly")
    if asked and not ran and not collecting and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
