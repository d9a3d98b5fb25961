"""docs/mitigations.md, drawn from what `./lab mitigations` found."""

from chainrace.base.text import cell
from chainrace.judge.compared import Compared
from chainrace.judge.explored import HARMFUL, HARMLESS

NAME = "mitigations.json"
MOST_ORDERS = 10**300
HEAD = """# Mitigations compared

Drawn by `./lab mitigations` from a run of it: every folder of examples/mitigations, explored
exhaustively in both families; `./lab mitigations --draw FOLDER` draws it again. *Safe* is a
statement about all orders of processes; where an exploration was bounded, it says by how many
preemptions. Each failure mode is named with its shortest schedule, which three replays confirmed.
*Alone* is how many iptables processes the script and the service run when nothing disturbs them.

| mitigation | backend | what it is | safe | covered | alone | what it costs |
| --- | --- | --- | --- | --- | --- | --- |
"""


def draw(found: list[Compared]) -> str:
    """The page, as Markdown."""
    return HEAD + "\n".join(_row(one) for one in found) + "\n"


def _row(one: Compared) -> str:
    harm = "; ".join(f"{cell(name)}: `{cell(schedule)}`" for name, schedule in one.harm.items())
    safe = {HARMFUL: f"**no** ({harm})", HARMLESS: "yes"}.get(one.verdict, cell(one.reason))
    covered = f"{one.states} states" + (
        f", {_short(one.orders)} orders"
        if one.preemptions is None
        else f", up to {one.preemptions} preemption{'s' * (one.preemptions != 1)}"
    )
    return (
        f"| {cell(one.name)} | {cell(one.backend)} | {cell(one.about)} | {safe} | {covered} "
        f"| {one.commands} | {cell(one.costs)} |"
    )


def _short(orders: int) -> str:
    """`1.33e+09`; a number of orders can be too large for a float."""
    return f"{orders:.3g}" if abs(orders) < MOST_ORDERS else f"1e+{len(str(orders)) - 1} or more"
