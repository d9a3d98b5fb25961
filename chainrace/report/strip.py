"""The randomized trials as a strip: the start offset of each, and its outcome."""

from collections.abc import Sequence
from dataclasses import dataclass

from chainrace.judge.verdict import FIXED, ORIGINAL
from chainrace.report.trials import Record

WIDTH = 640
MARGIN = 12
ROW = 34


@dataclass(frozen=True)
class Dot:
    """One trial on the strip; places in the drawing's own units."""

    x: float
    y: float
    outcome: str
    title: str


@dataclass(frozen=True)
class Strip:
    """Both scripts' trials over the seconds after kubelet's first iptables process."""

    dots: tuple[Dot, ...]
    rows: tuple[tuple[str, float], ...]
    first: float
    last: float
    width: int
    height: int


def strip(records: Sequence[Record]) -> Strip:
    """Place every trial, in two rows by script; trials at one offset stand above each other."""
    first = min(record.offset for record in records)
    last = max(record.offset for record in records)
    rows = tuple((name, ROW * (at + 0.5)) for at, name in enumerate((ORIGINAL, FIXED)))
    places = dict(rows)
    taken: dict[tuple[str, int], int] = {}
    dots = []
    for record in records:
        share = (record.offset - first) / (last - first) if last > first else 0.5
        x = MARGIN + share * (WIDTH - 2 * MARGIN)
        spot = (record.script, round(x / 8))
        level = taken.get(spot, 0)
        taken[spot] = level + 1
        # Up, down, up: they stay within their row.
        shift = (level + 1) // 2 * (6 if level % 2 else -6)
        title = f"trial {record.number}: {record.outcome} at {record.offset:.3f} s"
        y = places[record.script] + max(-12, min(12, shift))
        dots.append(Dot(round(x, 1), round(y, 1), record.outcome, title))
    return Strip(tuple(dots), rows, first, last, WIDTH, ROW * len(rows))
