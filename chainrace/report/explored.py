"""What an exploration leaves in the results folder: data, and evidence of each finding."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chainrace.base.files import write_json
from chainrace.base.text import write
from chainrace.judge.badlines import BadLine
from chainrace.judge.explored import EndState, Explored, Finding, Graph, conclusion
from chainrace.judge.outcomemap import OutcomeMap
from chainrace.judge.replayed import Replayed
from chainrace.model.trial import Ending
from chainrace.report import document as schema
from chainrace.report import graphviz, made_by, timeline
from chainrace.report.folder import Folder
from chainrace.report.made_by import Origin
from chainrace.report.sidebyside import side_by_side
from chainrace.report.verdict import NAME
from chainrace.report.writing import MOST_DRAWN, file_name, short, store

SCHEMA = 3


class ExplorationFolder(Folder):
    """The folder of an exploration: verdict.json, every end state, each finding's evidence.

    `options`: those by which the call named an image of the user's own.
    """

    def __init__(self, parent: Path, options: Sequence[str] = ()) -> None:
        super().__init__(parent)
        self._options = list(options)

    def made_by(self, origin: Origin) -> None:
        """Keep what is explored, and by what: a replay needs nothing else."""
        made_by.keep(self.path, origin)

    def keep(self, script: str, finding: Finding, last: Replayed) -> None:
        """Put a finding's last replay into a folder of its own."""
        name = f"{script}-{finding.family}-{'+'.join(finding.outcome.modes)}"
        write_replay(new_folder(self.path / timeline.FINDINGS, name), last)

    def end_states(self, explored: Explored) -> None:
        """Every end state of a script, and the graph of states that leads to them."""
        for graph in explored.graphs:
            ends = [_end_json(end) for end in graph.ends]
            name = f"ends-{file_name(explored.script)}-{graph.family}.json"
            write_json(self.path / name, ends)
        graphviz.write(self.path, explored)

    def conclude(
        self,
        explored: Mapping[str, Explored],
        node: Mapping[str, Any],
        *,
        wanted: Collection[str] = (),
        known_bad_lines: Sequence[BadLine] = (),
        interrupted: bool,
    ) -> None:
        """Write verdict.json, whole or not at all.

        `wanted` are the names of all scripts that were to be explored.
        """
        verdict, reason = conclusion(explored, wanted)
        store(
            self.path / NAME,
            {
                "schema": SCHEMA,
                "kind": "exploration",
                "verdict": verdict,
                "reason": reason,
                "interrupted": interrupted,
                "options": self._options,
                "made_by": made_by.read(self.path),
                "scripts": {short(name): explored_json(one) for name, one in explored.items()},
                "node": dict(node),
                "known_bad_lines": [asdict(one) for one in known_bad_lines],
            },
        )


def explored_json(explored: Explored) -> schema.Explored:
    """One script's part of verdict.json."""
    return {
        "verdict": explored.verdict,
        "reason": explored.reason,
        "remark": explored.remark,
        "commands": explored.commands,
        "doubts": list(explored.doubts),
        "unexercised": explored.unexercised,
        "alone": list(explored.alone),
        "race": explored.race,
        "graphs": [graph_json(graph) for graph in explored.graphs],
        "findings": [finding_json(finding) for finding in explored.findings],
        "shortest": {name: str(one.schedule) for name, one in explored.shortest().items()},
    }


def graph_json(graph: Graph) -> schema.Graph:
    """A graph's figures. Seconds are sums over all nodes."""
    return {
        "family": schema.family(graph.family),
        "complete": graph.complete,
        "states": graph.states,
        "transitions": graph.transitions,
        "merges": graph.merges,
        "executed": graph.executed,
        "open": graph.open,
        "preemptions": graph.preemptions,
        "interleavings": graph.interleavings,
        "orders": graph.orders,
        "end_states": len(graph.ends),
        "modes": graph.modes(),
        "executed_again": graph.differing,
        "counts": dict(graph.counts),
        "seconds": {name: round(value, 1) for name, value in graph.seconds.items()},
        "map": map_json(graph.map),
    }


def map_json(drawn: OutcomeMap) -> schema.Map | None:
    """A map as it is stored; None where it has no room: of a script with hundreds of stops."""
    steps = max(len(drawn.kubelet), len(drawn.script))
    if len(drawn.cells) > MOST_DRAWN or steps > schema.MOST_COMMANDS:
        return None
    return {
        "kubelet": [short(step) for step in drawn.kubelet],
        "script": [short(step) for step in drawn.script],
        "cells": [
            {
                "before": one.before,
                "script": one.script,
                "until": one.until,
                "schedule": one.schedule,
                "modes": list(one.modes),
            }
            for one in drawn.cells
        ],
    }


def finding_json(finding: Finding) -> schema.Finding:
    """A finding with the schedule that shows it."""
    healing = finding.healing
    return {
        "family": schema.family(finding.family),
        "modes": list(finding.outcome.modes),
        "schedule": str(finding.schedule),
        "preemptions": finding.schedule.preemptions,
        "missing": list(finding.outcome.missing),
        "cause": finding.outcome.cause,
        "signature": finding.signature,
        "azure_npm_finds": finding.detected_by,
        "end_states": finding.end_states,
        "replays": finding.replays,
        "replays_with_the_same_end": finding.same,
        "monitor": None
        if healing is None
        else {
            "looked": healing.looked,
            "seconds": healing.seconds,
            "modes": list(healing.left.modes),
            "missing": list(healing.missing),
            "healed": healing.healed,
        },
    }


def new_folder(parent: Path, name: str) -> Path:
    """A folder that is not there yet, called so as far as a file may be."""
    folder = parent / file_name(name)
    number = 1
    while folder.exists():
        number += 1
        folder = parent / f"{file_name(name)}.{number}"
    return folder


def _end_json(end: EndState) -> dict[str, Any]:
    return {
        "schedule": str(end.schedule),
        "modes": list(end.outcome.modes),
        "missing": list(end.outcome.missing),
    }


def write_ending(folder: Path, ending: Ending) -> None:
    """What is left when all is over: kubelet's log, and the rules of each family."""
    write(folder / "kubelet.log", "\n".join(ending.journal) + "\n")
    for name, text in ending.after.items():
        write(folder / f"rules-after.{name.replace('/', '-')}", text)


def write_replay(folder: Path, replayed: Replayed) -> None:
    """The evidence of one replay: its steps, kubelet's log, the rules it left."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "schedule.txt").write_text(f"{replayed.schedule}\n")
    write(folder / "timeline.txt", "\n".join(side_by_side(replayed)) + "\n")
    if replayed.steps:
        steps = [asdict(one) for one in replayed.steps]
        write_json(folder / timeline.NAME, {"schema": timeline.SCHEMA, "steps": steps})
    write_ending(folder, replayed.ending)
    write_json(
        folder / "outcome.json",
        {
            "schedule": str(replayed.schedule),
            "families": {name: asdict(one) for name, one in replayed.outcome.families.items()},
            "azure_npm_finds": replayed.outcome.detected_by,
        },
    )
