"""A node of the cluster, again and again at its kubelet's start beside a script."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.base.text import write
from chainrace.cluster import control_plane, pods, workloads
from chainrace.cluster.control_plane import ControlPlane
from chainrace.cluster.pods import Container
from chainrace.explore.replay import turns_of
from chainrace.explore.roots import LAZY, subjects_turns
from chainrace.explore.scripts import Script
from chainrace.explore.views import as_seen
from chainrace.explore.walker import PRISTINE, Walker
from chainrace.judge.cluster import PodLine, Repair, Start, has_jump, last_words
from chainrace.judge.verdict import ORIGINAL
from chainrace.model import rules
from chainrace.model.backends import PROGRAM
from chainrace.model.protocol import Clock, Leave, View
from chainrace.model.rules import FAMILIES
from chainrace.model.schedule import parse, so_far
from chainrace.node.machine import NODE
from chainrace.node.node import Node
from chainrace.node.snapshots import Snapshots
from chainrace.node.ssh import Connection
from chainrace.run.reboot import boot_anew, kubelet_at_boot, kubelets_log, once_beyond
from chainrace.settings.config import LimitsConfig
from chainrace.subjects.kube_proxy.subject import SYNCED
from chainrace.subjects.kubelet.words import words_in

# The script saves before kubelet has begun, and restarts when kubelet has made half of its rules.
OUTAGE = "s2 k8 s* k*"
# All of the script comes when kubelet has made half of its rules: by the other schedule one that
# saves nothing first would be over before kubelet begins.
MIDWAY = "k8 s* k*"
# azure-npm's back-off grows to five minutes (kubelet: MaxContainerBackOff).
TRY_SECONDS = 600.0
LOOK_SECONDS = 1.0
NPM_LOGS = f"/var/log/pods/{workloads.NAMESPACE}_azure-npm-*/azure-npm/*.log"
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """A script in its role (the original, or in the fix's place), and by which schedule."""

    role: str
    script: Script
    schedule: str


class WholeNode:
    """A node whose pristine state is kept: everything is laid on it, kubelet has not started."""

    def __init__(
        self,
        paths: Paths,
        node: Node,
        snapshots: Snapshots,
        plane: ControlPlane,
        *,
        limits: LimitsConfig,
    ) -> None:
        """A plane that runs; its node's pristine state is kept in `snapshots`."""
        self._paths = paths
        self._node = node
        self._snapshots = snapshots
        self._plane = plane
        self._limit, self._boot_limit = float(limits.trial), float(limits.boot)
        self._clean: Mapping[str, str] = {}

    def take_reference(self) -> None:
        """What a clean start of kubelet's leaves: each start beside a script is held against it."""
        self._anew()
        self._clean = self._walk("", subjects_turns())["rules"]

    def start(self, plan: Plan, watch: float, folder: Path, tell: Tell) -> Start:
        """One start beside a script.

        azure-npm is watched for `watch` seconds after its first try. Evidence goes into the
        folder: the pods' lines, azure-npm's description and log, kubelet's log. Raises LabError,
        also for a script that ends with another code than it is to end with.
        """
        with (
            _kept(folder / "pods.txt") as lines,
            self._begun(plan, lines, tell) as (view, connection, _),
        ):
            tell(f"watching azure-npm for {watch:.0f} s")
            begun = time.monotonic()
            crashloops = False
            found: tuple[Container, ...] = ()
            while (watched := time.monotonic() - begun) < watch:
                with suppress(LabError):  # one answer of hundreds
                    found = pods.containers(self._plane, pods.AZURE_NPM)
                crashloops |= any(one.waiting == pods.CRASHLOOP for one in found)
                time.sleep(LOOK_SECONDS)
            restarts = sum(one.restarts for one in found)
            log, kubelet = self._evidence(connection, folder)
            left = self._rules(connection)
            failed = restarts or any(one.failed or not one.running for one in found)
            runs = bool(found) and not failed and has_jump(left)
        for family in FAMILIES:
            write(folder / f"rules-after.{family}", view["rules"][family])
            write(folder / f"rules-end.{family}", left[family])
        return Start(
            script=plan.role,
            schedule=so_far([(lane, 1) for lane in view["made"]]),
            words=words_in(kubelet),
            missing=self._missing(view["rules"]),
            later=self._missing(left),
            pods=tuple(lines),
            restarts=restarts,
            crashloops=crashloops,
            runs=runs,
            said=last_words(log),
            seconds=watched,
        )

    def repair(self, action: str, script: Script, tell: Tell) -> Repair:
        """The same start anew, and once azure-npm has failed something that may repair it.

        `action` is one of `repairs`. Raises LabError.
        """
        with self._begun(Plan(ORIGINAL, script, OUTAGE), [], tell) as (_, connection, worked):
            if worked:
                raise LabError(
                    "the outage did not come after this start of the original's",
                    "run it again; the results so far are kept",
                )
            done = time.monotonic()
            tell(f"{action} …")
            since = self.repairs[action](connection)
            runs = self._next_try(connection, since)
            seconds = time.monotonic() - done
            return Repair(action, runs, self._missing(self._rules(connection)), seconds)

    @property
    def repairs(self) -> Mapping[str, Callable[[Connection], str]]:
        """What may repair it, by name; each returns the node's clock when it is done."""
        return {
            "azure-npm's pod deleted": self._delete_azure_npm,
            "kube-proxy's pod deleted": self._restart_kube_proxy,
            "kubelet restarted": self._restart_kubelet,
            "node rebooted": self._reboot,
        }

    @contextmanager
    def _begun(
        self, plan: Plan, lines: list[PodLine], tell: Tell
    ) -> Iterator[tuple[View, Connection, bool]]:
        """The schedule is over, nothing is held any more, and azure-npm has tried once.

        The last of the three is whether that try runs.
        """
        self._anew()
        for file in (workloads.kube_proxy(self._plane), workloads.azure_npm(self._plane)):
            workloads.apply(self._plane, file)

        def take(seconds: float, text: str) -> None:
            lines.append(PodLine(round(seconds, 1), text))
            tell(f"{seconds:6.0f} s  {text}")

        with pods.watched(self._plane, take):
            script = plan.script
            view = self._walk(script.path, turns_of(parse(plan.schedule)))
            if view["script_code"] != script.expect:
                raise LabError(
                    f"{script.name} ended with {view['script_code']}, not with {script.expect}",
                    "mend it, or say with which code it is to end: --exit CODE",
                )
            self._node.agent.ask(Leave(), timeout=self._limit)
            with Connection(self._paths.ssh_config, NODE) as connection:
                yield view, connection, self._next_try(connection, "")

    def _anew(self) -> None:
        self._snapshots.restore(PRISTINE)
        self._node.agent.ask(Clock(time.time()), timeout=self._limit)
        self._plane = control_plane.anew(self._plane)

    def _walk(self, script: str, turns: list[tuple[str, int | None]]) -> View:
        agent = self._node.agent
        walker = Walker(agent, None, script or None, None, LAZY, self._limit, returns=False)
        # A second try would begin on a node that the first has used.
        return walker.visit((), turns, read=as_seen, tries=1)

    def _next_try(self, connection: Connection, since: str) -> bool:
        def works() -> bool:
            return has_jump(self._rules(connection))

        return pods.next_try(self._plane, pods.AZURE_NPM, since, works, TRY_SECONDS)

    def _missing(self, now: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        return {
            family: rules.parse(self._clean[family]).missing_from(rules.parse(now[family]))
            for family in FAMILIES
        }

    @staticmethod
    def _rules(connection: Connection) -> dict[str, str]:
        return {
            family: connection.succeed(f"{program}-save") for family, program in PROGRAM.items()
        }

    def _evidence(self, connection: Connection, folder: Path) -> tuple[str, str]:
        """Keep what kubectl and kubelet say; azure-npm's own log, and kubelet's."""
        of_npm = (f"--namespace={workloads.NAMESPACE}", f"--selector={pods.AZURE_NPM}")
        # The log of its present try, and of the one before: kubelet keeps both.
        log = connection.run(f"cat {NPM_LOGS}").stdout
        write(folder / "azure-npm.log", log)
        write(folder / "describe.txt", self._plane.kubectl("describe", "pods", *of_npm))
        write(folder / "get.txt", self._plane.kubectl("get", "pods", "-A", "--output=wide"))
        said = kubelets_log(connection)
        write(folder / "kubelet.log", said)
        return log, said

    def _restart_kubelet(self, connection: Connection) -> str:
        began = connection.succeed("date +%s").strip()
        connection.succeed("systemctl restart kubelet.service")
        once_beyond(connection, limit=self._limit, when=f"--since=@{began}")
        return _clock(connection)

    def _restart_kube_proxy(self, connection: Connection) -> str:
        self._delete(pods.KUBE_PROXY)
        workloads.wait_until_rolled_out(self._plane, workloads.KUBE_PROXY)
        # It has no readiness probe: its pod is ready before its rules are.
        (proxy,) = pods.containers(self._plane, pods.KUBE_PROXY)
        logs = f"cat /var/log/pods/{workloads.NAMESPACE}_{proxy.pod}_*/kube-proxy/*.log"
        deadline = time.monotonic() + self._limit
        while connection.run(logs).stdout.count(SYNCED) < len(FAMILIES):
            if time.monotonic() > deadline:
                raise LabError(
                    f"kube-proxy has not set its rules within {self._limit:.0f} s",
                    "raise [limits] trial in lab.toml",
                )
            time.sleep(LOOK_SECONDS)
        return _clock(connection)

    def _delete_azure_npm(self, connection: Connection) -> str:
        self._delete(pods.AZURE_NPM)
        return _clock(connection)

    def _reboot(self, connection: Connection) -> str:
        node = replace(self._node, connection=connection)
        with kubelet_at_boot(node):
            boot_anew(self._paths, node, limit=self._boot_limit)
            once_beyond(connection, limit=self._limit)
        return _clock(connection)

    def _delete(self, selector: str) -> None:
        words = ("delete", "pods", f"--namespace={workloads.NAMESPACE}", f"--selector={selector}")
        self._plane.kubectl(*words, timeout=self._limit)


@contextmanager
def _kept(file: Path) -> Iterator[list[PodLine]]:
    """Lines that go into a file, whatever ends this."""
    lines: list[PodLine] = []
    try:
        yield lines
    finally:
        write(file, "".join(f"{one.seconds:7.1f} {one.text}\n" for one in lines))


def _clock(connection: Connection) -> str:
    """As the API writes a time."""
    return connection.succeed("date --utc +%Y-%m-%dT%H:%M:%SZ").strip()
