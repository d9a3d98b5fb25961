"""Failure modes: what a subject can lose, and how a reader is shown it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mode:
    """A failure mode. Of several the one with the lowest `gravity` gives an end its name.

    `letter` stands in a map's cell; `light`, `dark` and `dot` are colours (#rrggbb) of cells on
    a light and a dark page, and of a point. `means` is one sentence for the node's user, with {}
    for the subject's name. `ends_start`: the subject's start stops at its failure. `lets_in`: a
    packet gets through, so that a rule that somebody adds may be the cause.
    """

    name: str
    gravity: int
    letter: str
    light: str
    dark: str
    dot: str
    means: str = ""
    ends_start: bool = False
    lets_in: bool = False


HEALTHY = "healthy"
INIT_FAILED = "init_failed"
CHECK_FAILED = "check_failed"
RULES_LOST = "rules_lost"
RULES_REORDERED = "rules_reordered"
# Of a trial: its environment broke, so it has no outcome.
ENVIRONMENT = "environment"

# Those of every subject; one of its own with the same name says more.
GENERAL = (
    Mode(
        INIT_FAILED,
        0,
        "F",
        "#f5b5b0",
        "#7d1f1f",
        "#cf222e",
        "{}'s start failed.",
        ends_start=True,
    ),
    Mode(
        CHECK_FAILED,
        30,
        "X",
        "#c4e8e5",
        "#134e4a",
        "#0d9488",
        "The subject's own check fails; after a clean start it does not.",
    ),
    Mode(
        RULES_LOST,
        40,
        "R",
        "#ffd39b",
        "#7a4a06",
        "#d9730d",
        "{} started, but chains or rules that its clean start makes are missing.",
    ),
    Mode(
        RULES_REORDERED,
        50,
        "O",
        "#e3e0b8",
        "#4d4a1f",
        "#8a8400",
        "A rule that stood behind one of the subject's after a clean start stands before it now.",
    ),
    Mode(HEALTHY, 1000, "·", "#d7f0dc", "#17402a", "#2da44e"),
)
