"""A timeline as Chrome's trace JSON, which Perfetto and chrome://tracing open.

Source of the format: "Trace Event Format" of the Chromium project; Perfetto reads the same.
"""

import json
from collections.abc import Sequence
from typing import Any

from chainrace.base.text import line
from chainrace.report.timeline import Step, lay_out

NAME = "trace.json"
MICROSECONDS = 10**6
# chrome://tracing's own names of colours.
HARMS, FAILS = "terrible", "bad"


def render(steps: Sequence[Step]) -> str:
    """Steps as a trace: a thread for each lane, a slice for each step, times in microseconds."""
    picture = lay_out(steps)
    threads = {lane.letter: number for number, lane in enumerate(picture.lanes, start=1)}
    events: list[dict[str, Any]] = [
        _about("process_name", 0, {"name": "chainrace"}),
        *(
            _about("thread_name", threads[lane.letter], {"name": line(lane.title)})
            for lane in picture.lanes
        ),
    ]
    following: dict[str, float] = {}
    slices = []
    for box in reversed(picture.boxes):
        slices.append(_slice(box.step, box.name, threads[box.step.lane], following))
        following[box.step.lane] = box.step.begins
    events += reversed(slices)
    return json.dumps({"displayTimeUnit": "ms", "traceEvents": events}, indent=1) + "\n"


def _about(what: str, thread: int, words: dict[str, Any]) -> dict[str, Any]:
    return {"ph": "M", "pid": 1, "tid": thread, "ts": 0, "name": what, "args": words}


def _slice(step: Step, name: str, thread: int, following: dict[str, float]) -> dict[str, Any]:
    """A step; one that reaches into its lane's next is drawn up to that: slices must not cross."""
    until = [one for one in (step.ends, following.get(step.lane)) if one is not None]
    seconds = max(0.0, min(until, default=step.begins) - step.begins)
    colour = HARMS if step.harms else FAILS if step.fails else ""
    return {
        "ph": "X",
        "pid": 1,
        "tid": thread,
        "ts": round(step.begins * MICROSECONDS),
        # One of no length could not be clicked.
        "dur": max(1, round(seconds * MICROSECONDS)),
        "name": f"{name} {line(step.command)}",
        "cat": "harms" if step.harms else "fails" if step.fails else "step",
        **({"cname": colour} if colour else {}),
        "args": {
            "actor": line(step.actor),
            "code": step.code,
            "begins": step.begins,
            "ends": step.ends,
            "added": [line(one) for one in step.added],
            "removed": [line(one) for one in step.removed],
        },
    }
