"""What a trial by chance leaves in its folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chainrace.files import write_json
from chainrace.race.trial import Seen


def write_evidence(folder: Path, answer: dict[str, Any], seen: Seen | None, console: str) -> None:
    """Put what a trial left into its folder: also of one that broke."""
    folder.joinpath("kubelet.log").write_text("\n".join(answer["watch"]["journal"]) + "\n")
    for when in ("before", "after"):
        for family, text in answer[when].items():
            folder.joinpath(f"rules-{when}.{family}").write_text(text)
    if answer["azure_npm"] is not None:
        folder.joinpath("azure-npm.log").write_text(answer["azure_npm"]["log"])
    folder.joinpath("console.log").write_text(console)
    write_json(folder / "watch.json", answer["watch"])
    if seen is not None:
        folder.joinpath("timeline.txt").write_text("\n".join(timeline(seen)) + "\n")


def timeline(seen: Seen) -> Iterator[str]:
    """Every iptables process of a trial, a line each, times after kubelet's first."""
    yield f"{'start':>8} {'end':>8} code  actor    command"
    for one in seen.commands:
        end = "" if one.ended is None else f"{one.ended:.3f}"
        code = "" if one.code is None else str(one.code)
        words = " ".join((one.program, *one.arguments))
        yield f"{one.started:8.3f} {end:>8} {code:>4}  {one.actor:<8} {words}"
