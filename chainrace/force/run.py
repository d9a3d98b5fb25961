"""One script by force, from its first look at the node to findings that were replayed."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from chainrace.errors import LabError, UsageError
from chainrace.files import read_input
from chainrace.force.exploration import Exploration, Options, Progress
from chainrace.force.findings import confirm
from chainrace.force.replay import Replayed, Replayer
from chainrace.force.roots import FIRST, ScriptAlone, lazy_for, lead_for
from chainrace.force.store import Store
from chainrace.force.views import Reference
from chainrace.force.walker import Walker
from chainrace.host.recipe import digest
from chainrace.node.node import Node
from chainrace.node.snapshots import Snapshots
from chainrace.paths import REPOSITORY, Paths
from chainrace.race.force import Explored, Finding, Graph
from chainrace.race.rules import FAMILIES

UPLOADS = "/usr/local/lib/chainrace/save/own"


class Teller(Protocol):
    """Who is told what goes on (report/terminal.py)."""

    def say(self, text: str) -> None: ...

    def exploring(self, progress: Progress) -> None: ...


@dataclass(frozen=True)
class Script:
    """A script on every node: its name for people, its path there, its text's digest.

    `boot`: it begins before iptables.service has been started. `prepared`: the digest of
    what was done to the node before, if anything was.
    """

    name: str
    path: str
    digest: str
    boot: bool = False
    prepared: str = ""


def read_script(file: Path) -> bytes:
    """A script of the user's own. Raises UsageError for what is none."""
    data = read_input(file, "name a script")
    if not data.startswith(b"#!"):
        raise UsageError(f"{file} does not begin with #!", "write #!/bin/sh above it")
    # The kernel would look for a program `/bin/sh\r`, or for none.
    program = data.partition(b"\n")[0].removeprefix(b"#!").strip(b" \t")
    if not program or b"\r" in program or b"\0" in program:
        raise UsageError(
            f"{file} names no program in its first line: {program!r}",
            "write #!/bin/sh there, with a plain line end",
        )
    return data


def bring_script(nodes: list[Node], file: Path) -> Script:
    """Put a file of the host's onto the nodes. Raises UsageError for what is no script."""
    data = read_script(file)
    identity = hashlib.sha256(data).hexdigest()[:12]
    # A name of the lab's own: the file's may be anything.
    path = f"{UPLOADS}/{identity}"
    for node in nodes:
        node.connection.succeed(f"mkdir -p {UPLOADS}")
        node.connection.put(data, path)
        node.connection.succeed(f"chmod 755 {path}")
    return Script(file.name, path, identity)


def script_on(node: Node, name: str, path: str) -> Script:
    """A script that the node has already."""
    data = node.connection.succeed(f"cat '{path}'").encode()
    return Script(name, path, hashlib.sha256(data).hexdigest()[:12])


@contextmanager
def without_ssh(nodes: list[Node]) -> Iterator[None]:
    """No connection is open meanwhile: it would not outlive a restored snapshot."""
    with ExitStack() as stack:
        for node in nodes:
            if node.agent.survives_restore:
                stack.enter_context(node.connection.closed_meanwhile())
        yield


class ForceRun:
    """One script on some nodes. What `run` has found so far can be judged at any time."""

    def __init__(
        self,
        paths: Paths,
        nodes: list[Node],
        script: Script,
        options: Options,
        *,
        limit: float,
        teller: Teller,
        keep: Callable[[Finding, Replayed], None],
    ) -> None:
        """`limit` in seconds for each wait; `keep` is told each finding with its last replay."""
        self._paths = paths
        self._nodes = nodes
        self._script = script
        self._options = options
        self._limit = limit
        self._teller = teller
        self._keep = keep
        self._alone: ScriptAlone | None = None
        self._graphs: list[Graph] = []
        self._findings: list[Finding] = []

    def run(self) -> None:
        """Explore both families, then replay what was found.

        Raises LabError. What an interruption leaves in the store, the next run goes on from.
        """
        budget = self._options.budget
        deadline = None if budget is None else time.monotonic() + budget
        stores = []
        identity = _identity(self._nodes[0], self._script)
        with without_ssh(self._nodes):
            replayer = Replayer(
                self._nodes[0].agent, self._script.path, self._limit, boot=self._script.boot
            )
            reference = replayer.reference()
            for family in FAMILIES:
                self._teller.say(f"{self._script.name}: {family}, every order of its steps")
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                stores.append(Store(self._paths.explorations / f"{identity}-{family}.jsonl"))
                options = replace(self._options, budget=left)
                self._explore(family, reference, options, stores[-1])
            for graph in self._graphs:
                self._findings += confirm(graph, replayer, reference, self._teller.say, self._keep)
        if all(graph.open == 0 for graph in self._graphs):
            for store in stores:
                store.remove()

    @property
    def explored(self) -> Explored:
        """What is known so far."""
        alone = self._alone
        return Explored(
            self._script.name,
            len(alone.calls) if alone else 0,
            _remark(alone) if alone else "",
            len(self._graphs) == len(FAMILIES),
            tuple(self._graphs),
            tuple(self._findings),
        )

    def _explore(self, family: str, reference: Reference, options: Options, store: Store) -> None:
        with self._walkers(family) as walkers:
            exploration = Exploration(
                family, walkers, reference, options, store, tell=self._teller.exploring
            )
            self._alone = exploration.prepare()
            _refuse(self._alone, self._script)
            try:
                exploration.run()
            finally:
                self._graphs.append(exploration.graph())

    @contextmanager
    def _walkers(self, family: str) -> Iterator[list[Walker]]:
        rootless = self._alone is not None and self._alone.rootless
        walkers = [
            Walker(
                node.agent,
                Snapshots(self._paths, node.machine.domain)
                if node.agent.survives_restore
                else None,
                self._script.path,
                FIRST,
                lazy_for(family, rootless=rootless),
                self._limit,
                lead_for(family, rootless=rootless),
                self._script.boot,
            )
            for node in self._nodes
        ]
        with ExitStack() as stack:
            for walker in walkers:
                stack.enter_context(_closed_afterwards(walker))
            yield walkers


@contextmanager
def _closed_afterwards(walker: Walker) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # What went wrong first is what counts.
        with suppress(LabError):
            walker.close()
        raise
    walker.close()


def _identity(node: Node, script: Script) -> str:
    """What an exploration's states depend on: another script or node is another graph."""
    gate = digest(REPOSITORY / "chainrace" / "gate")
    node_parts = digest(REPOSITORY / "provision" / "node")
    about = (str(node.identity[name]) for name in sorted(node.identity))
    return digest(
        None,
        script.digest,
        script.prepared,
        str(script.boot),
        gate,
        node_parts,
        node.host.disk,
        *about,
    )


def _refuse(alone: ScriptAlone, script: Script) -> None:
    """Raise LabError for a script that shows nothing about any interleaving."""
    if not alone.calls and alone.code not in (0, None):
        raise LabError(
            f"{script.name} fails at once with code {alone.code}, before any iptables process",
            "run it on the node by hand: ./lab ssh",
        )
    if not alone.calls and alone.changed:
        raise LabError(
            f"{script.name} changes rules by a program that the gate cannot hold",
            "docs/explanation.md says which programs it can",
        )


def _remark(alone: ScriptAlone) -> str:
    if not alone.calls:
        return "the script runs no iptables program at all"
    if alone.code:
        return f"the script ends with code {alone.code} when nothing disturbs it"
    return ""
