"""One script explored on a node, or run in a random order of its steps: what it ends in."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from pprint import pformat

from chainrace.explore.exploration import Exploration, UnexercisedError
from chainrace.explore.options import Options
from chainrace.explore.replay import Replayer
from chainrace.explore.roots import FIRST, ScriptAlone, lazy_for, lead_for
from chainrace.explore.store import Store
from chainrace.explore.views import Reference
from chainrace.explore.walker import PRISTINE, Turns, Walker
from chainrace.judge.explored import Graph
from chainrace.model.actors import KUBELETS, SCRIPT_ACTOR
from chainrace.model.mode import HEALTHY
from chainrace.model.protocol import Arm, View, Walk
from chainrace.model.rules import FAMILIES, plain
from chainrace.model.trial import Ending
from chainrace.node.agent import Agent
from chainrace.node.snapshots import Snapshots
from chainrace.search.families import joined
from chainrace.search.knowledge import Knowledge

# A random order is broken off after so many steps: the script has no end.
MOST_STEPS = 500
# How often a random order changes its mind on how much the script steps beside kubelet.
AGAIN = 0.1
WIDTH = 110


@dataclass
class Result:
    """What one exploration found; a `Knowledge` for each scope: the families apart, or both."""

    verdict: str
    reason: str
    graphs: tuple[Graph, ...] = ()
    known: list[Knowledge] = field(default_factory=list)
    doubts: tuple[str, ...] = ()
    alone: ScriptAlone | None = None

    @property
    def modes(self) -> set[str]:
        """Those that some end has."""
        return {name for graph in self.graphs for name in graph.modes()}

    @property
    def transitions(self) -> int:
        """All steps between states."""
        return sum(graph.transitions for graph in self.graphs)

    @property
    def complete(self) -> bool:
        """Whether no step is open."""
        return all(graph.complete for graph in self.graphs)

    def lacks(self, end: Ending, families: Sequence[str] = FAMILIES) -> str:
        """What some families' parts of an end are that none of these ends has; empty for none.

        A family that was explored by itself says nothing of the other one: its own part is
        compared alone. What belongs to neither (nft's own tables, ipsets) is in any of them.
        """
        for one in self.known:
            both = [family for family in one.families if family in families]
            mine = parts(end, both)
            if mine not in [parts(other, both) for other in one.endings.values()]:
                return f"{'+'.join(both)}: {pformat(mine, width=WIDTH)}"
        rest = others(end)
        if rest not in [others(other) for _, other in self.endings()]:
            return f"of neither family: {pformat(rest, width=WIDTH)}"
        return ""

    def endings(self) -> list[tuple[tuple[str, ...], Ending]]:
        """Every end, with the families that it speaks of."""
        return [(one.families, end) for one in self.known for end in one.endings.values()]

    def told(self) -> list[str]:
        """All ends, for people."""
        return [
            f"{'+'.join(families)}: {pformat((*parts(end, families), others(end)), width=WIDTH)}"
            for families, end in self.endings()
        ]


def parts(end: Ending, families: Sequence[str]) -> tuple[object, ...]:
    """Some families' parts of an end."""
    return tuple(part(end, family) for family in families)


def part(end: Ending, family: str) -> tuple[object, ...]:
    """One family's part of an end: kubelet's word, the rules in their order, both backends'."""
    texts = sorted(
        (name, tuple(plain(text)))
        for name, text in end.after.items()
        if name == family or name.startswith(f"{family}/")
    )
    return (end.words.get(family, ""), *texts)


def others(end: Ending) -> tuple[object, ...]:
    """What belongs to neither family."""
    return tuple(
        sorted((name, text) for name, text in end.after.items() if not name.startswith(FAMILIES))
    )


@dataclass
class Explored:
    """A node on which scripts are explored, and run in random orders.

    `bring` lays a script where the node finds it, and returns its path there. With `snapshots`
    each start is from the pristine one. `limit` in seconds is for each wait on the node.
    """

    agent: Agent
    folder: Path
    bring: Callable[[str], str]
    limit: float
    snapshots: Snapshots | None = None
    reference: Reference = field(init=False)

    def __post_init__(self) -> None:
        replayer = Replayer(self.agent, "/bin/true", self.limit, snapshots=self.snapshots)
        self.reference = replayer.reference()

    def explore(
        self,
        text: str,
        *,
        reduced: bool = True,
        families: tuple[str, ...] = FAMILIES,
        budget: float = 600.0,
    ) -> Result:
        """One script; the word as chainrace says it."""
        first: ScriptAlone | None = None
        scopes: list[tuple[str, ...]] = [(family,) for family in families]
        if not reduced:
            scopes = [families]
        known: list[Knowledge] = []
        graphs: list[Graph] = []
        doubts: list[str] = []
        while scopes:
            scope = scopes.pop(0)
            try:
                alone, exploration = self._explore(text, scope, reduced=reduced, budget=budget)
            except UnexercisedError as error:
                return Result("not exercised", error.what)
            first = first or alone
            if alone.unended:
                return Result("not exercised", alone.unended)
            if alone.runs_nothing:
                return Result("not exercised", "it runs no program at all")
            if reduced and alone.joins and len(scope) == 1:
                scopes, known, graphs = [FAMILIES], [], []
                continue  # it was not explored
            doubts += exploration.doubts
            if alone.code != 0:
                doubts.append(f"the script ended with {alone.code}")
            known.append(exploration.known)
            graphs += exploration.graphs()
            if not scopes and len(known) > 1 and joined(known):
                scopes, known, graphs = [FAMILIES], [], []
        return _said(Result("", "", tuple(graphs), known, tuple(dict.fromkeys(doubts)), first))

    def _explore(
        self, text: str, families: Sequence[str], *, reduced: bool, budget: float
    ) -> tuple[ScriptAlone, Exploration]:
        store = Store(self.folder / "store.jsonl")
        store.remove()
        walker = Walker(
            self.agent,
            self.snapshots,
            self.bring(text),
            FIRST,
            lazy_for(families),
            self.limit,
            lead_for(families),
        )
        exploration = Exploration(
            families,
            [walker],
            self.reference,
            Options(budget=budget, reduced=reduced),
            store,
            tell=lambda _: None,
        )
        alone = exploration.prepare()
        if not alone.unended and not (alone.joins and len(families) == 1 and reduced):
            exploration.run()
        return alone, exploration

    def at_random(self, text: str, chance: random.Random) -> tuple[str, Ending]:
        """The schedule of a random order of steps, and what it leaves."""
        script, fresh = self.bring(text), self.snapshots is not None
        if self.snapshots is not None:
            self.snapshots.restore(PRISTINE)
        asked = Arm(script, lazy=[], limit=self.limit, boot=False, fresh=fresh)
        self.agent.ask(asked, timeout=3 * self.limit)
        view, path = self._walk([]), ""
        share = chance.random() ** 2
        while view["next"] and len(path) < MOST_STEPS:
            kubelets = [lane for lane in view["next"] if lane in KUBELETS]
            scripts = [lane for lane in view["next"] if lane not in KUBELETS]
            if chance.random() < AGAIN:
                share = chance.random() ** 2
            lanes = scripts if scripts and (not kubelets or chance.random() < share) else kubelets
            path += chance.choice(sorted(lanes))
            view = self._walk([(path[-1], 1)])
        view = self._walk([("k", None), ("x", None), (SCRIPT_ACTOR, None)], rules=True)
        runs = (f"{lane}{len(list(steps))}" for lane, steps in groupby(path))
        return " ".join(runs), Ending(view["words"], (), view["rules"])

    def _walk(self, turns: Turns, *, rules: bool = False) -> View:
        asked = Walk(turns, entropy="", seconds=None, rules_too=rules, evidence=False, places=False)
        return self.agent.ask(asked, timeout=self.limit * (2 + len(turns)))


def _said(found: Result) -> Result:
    """The word, as judge/explored.py says it; a harm counts without a replay here."""
    harms = found.modes - {HEALTHY}
    if harms:
        return replace(found, verdict="harmful", reason=", ".join(sorted(harms)))
    if found.doubts:
        return replace(found, verdict="not proved", reason="; ".join(found.doubts))
    if not found.complete:
        return replace(found, verdict="unfinished", reason="steps are open")
    return replace(found, verdict="harmless")
