"""Who hurts whom: a row for each script or other subject, a column for each subject."""

from collections.abc import Sequence

from chainrace.judge.compared import Pair
from chainrace.judge.explored import HARMFUL

NAME = "matrix.json"


def drawn(found: Sequence[Pair]) -> list[dict[str, str]]:
    """The table's rows; a cell has the verdict, and the failure modes of a harmful one."""
    subjects = dict.fromkeys(one.subject for one in found)
    cells = {(one.other, one.subject): _cell(one) for one in found}
    return [
        {"with": other, **{name: cells.get((other, name), "") for name in subjects}}
        for other in dict.fromkeys(one.other for one in found)
    ]


def schedules(found: Sequence[Pair]) -> list[str]:
    """What a reader goes on with: each pair's shortest schedules, or why there is no verdict."""
    lines = []
    for one in found:
        pair = f"{one.subject} and {one.other}"
        lines += [f"{pair}: {mode}: {schedule}" for mode, schedule in one.harm.items()]
        reason = one.reason.removeprefix(f"{one.verdict}: ")
        lines.append(f"{pair}: {one.verdict}: {reason} ({one.folder})")
    return lines


def _cell(one: Pair) -> str:
    return f"{one.verdict}: {', '.join(one.harm)}" if one.verdict == HARMFUL else one.verdict
