"""The light node from outside: its agent as a child, and one script explored on it."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

from chainrace.force.exploration import Exploration, Options, UnexercisedError
from chainrace.force.replay import Replayer
from chainrace.force.roots import FIRST, ScriptAlone, lazy_for, lead_for
from chainrace.force.scripts import looks
from chainrace.force.store import Store
from chainrace.force.views import Reference
from chainrace.force.walker import Walker
from chainrace.gate.process import SCRIPT_ACTOR
from chainrace.node.agent import Agent, RefusedError
from chainrace.race.families import joined
from chainrace.race.force import Graph
from chainrace.race.knowledge import Knowledge
from chainrace.race.outcome import HEALTHY
from chainrace.race.rules import FAMILIES
from chainrace.race.trial import Ending

LIMIT = 20.0
SCRIPTS = Path("/var/tmp/chainrace-light")  # apart from what each start empties


def why_not() -> str:
    """Why no light node can be had here; empty where it can."""
    if os.geteuid() != 0:
        return "the light node needs root"
    missing = [one for one in ("iptables", "nft", "ip", "unshare") if shutil.which(one) is None]
    return f"the light node needs {', '.join(missing)}" if missing else ""


class LightAgent:
    """Speaks to tests/light/machine.py as chainrace.node.agent.Agent does to a node."""

    survives_restore = False

    def __init__(self) -> None:
        SCRIPTS.mkdir(exist_ok=True)
        # One at a time: all of them hear the same kernel's audit.
        self._alone = (SCRIPTS / "lock").open("w")
        fcntl.flock(self._alone, fcntl.LOCK_EX)
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.light.machine"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.ask("clean", timeout=LIMIT)

    def ask(self, request: str, *, timeout: float, **arguments: Any) -> Any:
        """Send a request and return its answer. Raises RefusedError."""
        assert timeout > 0
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps({"do": request, **arguments}).encode() + b"\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise AssertionError(f"the light node ended with {self._child.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise RefusedError(f"light: {reply['error']}", "look at its output above")
        return reply["ok"]

    def break_off(self) -> None:
        """Nothing here waits for long."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait(timeout=30)
        self._alone.close()


@dataclass
class Result:
    """What one exploration found, both families: `ends` are what is left, with kubelet's words."""

    word: str
    reason: str
    graphs: tuple[Graph, ...] = ()
    known: list[Knowledge] = field(default_factory=list)

    @property
    def ends(self) -> set[tuple[object, ...]]:
        """Rules and words of every end, told apart by what they leave."""
        return {left(ending) for one in self.known for ending in one.endings.values()}


def left(ending: Ending) -> tuple[object, ...]:
    """What an end is told apart by: kubelet's words, its chains, the rules in their order."""
    from chainrace.gate.rules import plain  # noqa: PLC0415

    return (
        tuple(sorted(ending.words.items())),
        *(tuple(plain(ending.after.get(family, ""))) for family in FAMILIES),
    )


class LightNode:
    """One light node, on which scripts are explored one after the other."""

    def __init__(self, agent: LightAgent, folder: Path) -> None:
        self.agent = cast("Agent", agent)
        self._folder = folder
        self.reference: Reference = Replayer(self.agent, "/bin/true", LIMIT).reference()

    def bring(self, text: str) -> str:
        """Lay a script where the node finds it."""
        path = SCRIPTS / hashlib.sha256(text.encode()).hexdigest()[:12]
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    def explore(self, text: str, *, reduced: bool = True, budget: float = 600.0) -> Result:
        """One script; the word as chainrace says it."""
        path = self.bring(text)
        first: ScriptAlone | None = None
        scopes: list[tuple[str, ...]] = [(family,) for family in FAMILIES]
        if not reduced:
            scopes = [FAMILIES]
        known: list[Knowledge] = []
        graphs: list[Graph] = []
        doubts: list[str] = []
        while scopes:
            families = scopes.pop(0)
            try:
                alone, exploration = self._explore(path, text, families, reduced, budget)
            except UnexercisedError as error:
                return Result("not exercised", error.what)
            first = first or alone
            if alone.unended:
                return Result("not exercised", alone.unended)
            if first.joins and len(families) == 1:
                scopes, known, graphs = [FAMILIES], [], []
                continue
            doubts += exploration.doubts
            if alone.code != 0:
                doubts.append(f"ended with {alone.code}")
            known.append(exploration.known)
            graphs += exploration.graphs()
            if not scopes and len(known) > 1 and joined(known):
                scopes, known, graphs = [FAMILIES], [], []
        return _said(known, graphs, doubts)

    def _explore(
        self, path: str, text: str, families: Sequence[str], reduced: bool, budget: float
    ) -> tuple[ScriptAlone, Exploration]:
        store = Store(self._folder / "store.jsonl")
        store.remove()
        walker = Walker(
            self.agent, None, path, FIRST, lazy_for(families), LIMIT, lead_for(families)
        )
        exploration = Exploration(
            families,
            [walker],
            self.reference,
            Options(budget=budget, reduced=reduced),
            store,
            tell=lambda _: None,
            looks=looks(text.encode()),
        )
        alone = exploration.prepare()
        if not alone.unended and not (alone.joins and len(families) == 1 and reduced):
            exploration.run()
        return alone, exploration

    def at_random(self, text: str, order: Sequence[str]) -> tuple[object, ...] | None:
        """What a random order of lanes leaves; lanes that cannot step are passed over."""
        walker = Walker(self.agent, None, self.bring(text), None, (), LIMIT, returns=False)
        walker.begin()
        view = walker.visit((), [], read=lambda view: view)
        for lane in order:
            if not view["next"]:
                break
            waiting = sorted(view["next"])
            chosen = waiting[int(lane, 16) % len(waiting)]
            view = walker.visit(walker.at or (), [(chosen, 1)], read=lambda view: view)
        view = walker.visit(
            walker.at or (),
            [("k", None), ("x", None), (SCRIPT_ACTOR, None)],
            read=lambda view: view,
            evidence=True,
        )
        return left(Ending(view["words"], (), view["rules"]))


def _said(known: list[Knowledge], graphs: list[Graph], doubts: list[str]) -> Result:
    classes = {name for graph in graphs for name in graph.classes()} - {HEALTHY}
    if classes:
        return Result("harmful", ", ".join(sorted(classes)), tuple(graphs), known)
    if doubts:
        return Result("not proved", "; ".join(doubts), tuple(graphs), known)
    if not all(graph.complete for graph in graphs):
        return Result("unfinished", "steps are open", tuple(graphs), known)
    return Result("harmless", "", tuple(graphs), known)
