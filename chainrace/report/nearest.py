"""The schedule that is nearest to what a randomized trial saw, so that it can be replayed."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from chainrace.base.errors import UsageError
from chainrace.base.files import read_input
from chainrace.model.trial import Call
from chainrace.report.trials import Finite
from chainrace.report.verdict import REMEDY


class _Command(TypedDict):
    actor: str
    program: str
    arguments: list[str]
    started: Finite


class _Watch(TypedDict):
    """What is needed of a watch.json."""

    commands: list[_Command]


WATCH = TypeAdapter(_Watch)


def nearest_schedule(folder: Path, watch: Path) -> str:
    """The schedule that is nearest to what a trial saw; empty where nothing is.

    It stops the script once, before its first flush, where kubelet was then.
    """
    try:
        seen = WATCH.validate_json(read_input(watch, REMEDY, below=folder))
    except (UsageError, ValidationError):
        return ""
    commands = sorted(seen["commands"], key=lambda one: one["started"])
    calls = [(Call.of(one), one["started"]) for one in commands]
    kubelets = [at for call, at in calls if call.actor == "kubelet" and call.family == "ipv4"]
    scripts = [(call, at) for call, at in calls if call.actor not in ("kubelet", "other")]
    flush = next((n for n, (call, _) in enumerate(scripts) if "-F" in call.arguments), None)
    if flush is None:
        return ""
    before = sum(at < scripts[0][1] for at in kubelets)
    until = sum(at < scripts[flush][1] for at in kubelets)
    turns = [("k", before), ("s", flush), ("k", until - before)]
    counted = [f"{actor}{steps}" for actor, steps in turns if steps]
    if counted and counted[-1].startswith("s"):
        counted.pop()
    return " ".join((*counted, "s* k*"))
