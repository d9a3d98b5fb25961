"""One script explored, from its first look at the node to findings that were replayed."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Protocol

from chainrace.base.errors import LabError
from chainrace.base.paths import REPOSITORY, Paths
from chainrace.explore.exploration import Exploration, UnexercisedError
from chainrace.explore.findings import confirm
from chainrace.explore.options import Options
from chainrace.explore.preparation import pristine
from chainrace.explore.replay import Replayer
from chainrace.explore.roots import FIRST, ScriptAlone, lazy_for, lead_for
from chainrace.explore.scripts import Script
from chainrace.explore.store import Store
from chainrace.explore.views import Reference
from chainrace.explore.walker import Walker
from chainrace.host.recipe import digest
from chainrace.judge.explored import Explored, Finding, Graph
from chainrace.judge.progress import Progress
from chainrace.judge.replayed import Replayed
from chainrace.model.rules import FAMILIES
from chainrace.model.subject import sides
from chainrace.node.agent import ON_NODE
from chainrace.node.node import Node
from chainrace.node.snapshots import Snapshots
from chainrace.search.families import joined
from chainrace.search.knowledge import Knowledge

SEPARATE: tuple[tuple[str, ...], ...] = tuple((family,) for family in FAMILIES)
TOGETHER: tuple[tuple[str, ...], ...] = (FAMILIES,)


class Teller(Protocol):
    """Who is told what goes on (report/terminal.py)."""

    def note(self, text: str) -> None: ...

    def exploring(self, progress: Progress) -> None: ...


class ExplorationRun:
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
        self._first: Reference | None = None  # where it is not the one that is judged
        self._alone: ScriptAlone | None = None
        self._doubts: list[str] = []
        self._unexercised = ""
        self._graphs: list[Graph] = []
        self._findings: list[Finding] = []
        self._stores: list[Store] = []
        self._deadline: float | None = None

    def run(self) -> None:
        """Explore both families, then replay what was found.

        Raises LabError. What an interruption leaves in the store, the next run goes on from.
        """
        budget = self._options.budget
        self._deadline = None if budget is None else time.monotonic() + budget
        with pristine(self._paths, self._nodes, self._limit) as snapshots:
            replayer = Replayer(
                self._nodes[0].agent,
                self._script.path,
                self._limit,
                boot=self._script.boot,
                snapshots=snapshots[0],
                subject=self._script.subject,
                other=self._script.other,
            )
            reference = replayer.reference()
            first, _ = sides(self._script.subject, self._script.other)
            if first is not reference.subject:
                self._first = replayer.reference(first)
            if reference.subject.by_family:
                self._both_ways(reference, snapshots)
            else:
                self._explore(TOGETHER, reference, snapshots)
            for graph in self._graphs:
                self._findings += confirm(graph, replayer, reference, self._teller.note, self._keep)
        if all(graph.open == 0 for graph in self._graphs):
            for store in self._stores:
                store.remove()

    def _both_ways(self, reference: Reference, snapshots: list[Snapshots | None]) -> None:
        """Explore each family by itself, and both together where a step may join them."""
        known = self._explore(SEPARATE, reference, snapshots)
        why = joined([one for one in known if one is not None])
        if why and not self._is_enough:
            self._teller.note(f"{self._script.name}: both families together: {why}")
            self._together(reference, snapshots)

    @property
    def explored(self) -> Explored:
        """What is known so far."""
        alone = self._alone
        # What the judged one takes by itself it does in its clean start, too.
        takes = alone.takes if alone and self._first is None else ()
        return Explored(
            self._script.name,
            len(alone.calls) if alone else 0,
            "",
            len(self._graphs) == len(FAMILIES),
            tuple(self._graphs),
            tuple(self._findings),
            doubts=tuple(self._doubts),
            unexercised=self._unexercised,
            subject=self._script.subject.name,
            race=str(self._script.race),
            alone=tuple(f"takes away {entry}" for entry in takes),
        )

    @property
    def _other(self) -> str:
        _, second = sides(self._script.subject, self._script.other)
        return "the script" if second is None else second.name

    @property
    def _is_enough(self) -> bool:
        return self._options.first and any(graph.failure_modes() for graph in self._graphs)

    def _together(self, reference: Reference, snapshots: list[Snapshots | None]) -> None:
        """Explore both families together; harm that was seen with each apart is kept."""
        apart = {graph.family: graph for graph in self._graphs}
        self._graphs.clear()
        try:
            self._explore(TOGETHER, reference, snapshots)
        finally:
            both = {graph.family: graph for graph in self._graphs}
            self._graphs[:] = [
                _with_harm(apart.get(family), both.get(family))
                for family in FAMILIES
                if family in both or (family in apart and apart[family].failure_modes())
            ]

    def _explore(
        self,
        scopes: Sequence[tuple[str, ...]],
        reference: Reference,
        snapshots: list[Snapshots | None],
    ) -> list[Knowledge | None]:
        """Explore families, each scope by itself; what was learned of each, None where not."""
        found: list[Knowledge | None] = []
        for families in scopes:
            if self._unexercised or self._is_enough:
                break
            if len(families) == 1 and self._alone is not None and self._alone.joins:
                break
            name = " and ".join(families)
            self._teller.note(f"{self._script.name}: {name}, every order of its steps")
            found.append(self._explore_scope(families, reference, snapshots))
        if scopes == SEPARATE and self._alone is not None and self._alone.joins:
            if not self._unexercised:
                self._together(reference, snapshots)
            return []
        return found

    def _explore_scope(
        self,
        families: tuple[str, ...],
        reference: Reference,
        snapshots: list[Snapshots | None],
    ) -> Knowledge | None:
        left = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        identity = _identity(self._nodes[0], self._script)
        store = Store(self._paths.explorations / f"{identity}-{'+'.join(families)}.jsonl")
        self._stores.append(store)
        with self._walkers(families, snapshots) as walkers:
            exploration = Exploration(
                families,
                walkers,
                reference,
                replace(self._options, budget=left),
                store,
                tell=self._teller.exploring,
                first=self._first,
            )
            try:
                alone = exploration.prepare()
            except UnexercisedError as error:
                self._unexercised = error.what
                return None
            self._doubt(exploration.doubts)
            if not self._take_alone(alone, families):
                return None
            try:
                exploration.run()
            finally:
                # What went wrong first is what counts, not what cannot be drawn because of it.
                with suppress(LabError):
                    self._graphs += exploration.graphs()
                self._doubt(exploration.doubts)
        return exploration.known

    def _take_alone(self, alone: ScriptAlone, families: tuple[str, ...]) -> bool:
        """Take in the script's run alone; whether its orders are to be explored here."""
        self._alone = self._alone or alone
        if alone.unended:
            self._unexercised = alone.unended
            return False
        if alone.runs_nothing:
            self._unexercised = "it runs no program at all"
            return False
        if alone.code != self._script.expect:
            self._doubt(
                [f"{self._other} ended with {alone.code}: what it was to do then was not seen"]
            )
        return len(families) > 1 or not alone.joins

    def _doubt(self, why: Sequence[str]) -> None:
        self._doubts += [one for one in why if one not in self._doubts]

    @contextmanager
    def _walkers(
        self, families: tuple[str, ...], snapshots: list[Snapshots | None]
    ) -> Iterator[list[Walker]]:
        walkers = [
            Walker(
                node.agent,
                kept,
                self._script.path or None,
                FIRST,
                lazy_for(families),
                self._limit,
                lead_for(families),
                self._script.boot,
                self._script.subject,
                self._script.other,
            )
            for node, kept in zip(self._nodes, snapshots, strict=True)
        ]
        with ExitStack() as stack:
            for walker in walkers:
                stack.enter_context(_closed_afterwards(walker))
            yield walkers


def _with_harm(apart: Graph | None, both: Graph | None) -> Graph:
    """A family's graph: explored together with the other, unless harm was seen apart alone."""
    if both is None or (apart is not None and apart.failure_modes() and not both.failure_modes()):
        assert apart is not None  # noqa: S101 - one of them is there
        return replace(apart, open=max(1, both.open if both else 1))
    return both


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
    on_node = (digest(REPOSITORY / "chainrace" / room) for room in ON_NODE)
    node_parts = digest(REPOSITORY / "provision" / "node")
    about = (str(node.identity[name]) for name in sorted(node.identity))
    return digest(
        None,
        script.digest,
        script.prepared,
        str(script.boot),
        repr((script.subject, script.other)),
        *on_node,
        node_parts,
        node.host.disk,
        *about,
    )
