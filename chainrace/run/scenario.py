"""What a scenario has whatever its evidence is: its folder, its scripts, the verdict at its end."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chainrace.base.paths import Paths
from chainrace.explore.scripts import Script, bring_script, script_on
from chainrace.judge.verdict import FIXED, ORIGINAL
from chainrace.node.listening import Listening
from chainrace.node.node import Node
from chainrace.report import views
from chainrace.report.results import Asked, ResultsFolder, judge_again, write_verdict
from chainrace.report.terminal import Terminal
from chainrace.run.trials import SCRIPTS_ON_NODE
from chainrace.settings.scenario import Chosen


def folder_of(paths: Paths, chosen: Chosen, terminal: Terminal) -> ResultsFolder:
    """Where the results of a scenario go; nothing is made before a node is there."""
    options = chosen.config.image.options if chosen.config.image else ()
    asked = Asked(chosen.name, chosen.label, chosen.evidence, options)
    folder = ResultsFolder(paths.results, asked)
    terminal.note(f"{chosen.name}: results go to {folder.path.relative_to(paths.root)}")
    return folder


def scripts_of(chosen: Chosen, nodes: list[Node]) -> tuple[Script, Script]:
    """The original, and what stands in the fix's place, both on the nodes. Raises LabError."""
    original = script_on(nodes[0], ORIGINAL, SCRIPTS_ON_NODE[ORIGINAL])
    if chosen.script:
        return original, replace(bring_script(nodes, chosen.script), expect=chosen.expect)
    return original, script_on(nodes[0], FIXED, SCRIPTS_ON_NODE[FIXED])


def conclude(
    folder: ResultsFolder,
    about: Mapping[str, Any],
    listening: Listening,
    terminal: Terminal,
    *,
    interrupted: bool,
) -> None:
    """Judge what lies in the folder, write verdict.json, and draw it."""
    known_bad_lines = listening.take(folder.path)
    verdict = judge_again(folder.path)
    write_verdict(
        folder.path, verdict, about, known_bad_lines=known_bad_lines, interrupted=interrupted
    )
    views.draw_after(folder.path, terminal.note)
