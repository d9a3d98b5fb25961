"""docs/remedies.md, drawn from the explorations of `./lab remedies`."""

from chainrace.race.force import HARMFUL, HARMLESS, Explored
from chainrace.remedies import Remedy

HEAD = """# Remedies compared

Written by `./lab remedies`: every folder of examples/remedies, explored by force in both
families. *Safe* is a statement about all orders of processes; where an exploration was bounded,
it says by how many preemptions. Harm is named by the plainest schedule that three replays
confirmed.

| remedy | what it is | safe | covered | processes | what it costs |
| --- | --- | --- | --- | --- | --- |
"""


def row(remedy: Remedy, explored: Explored) -> str:
    """A remedy's line of the table."""
    simplest = explored.simplest()
    harm = "; ".join(f"{name}: `{one.schedule}`" for name, one in simplest.items())
    safe = {HARMFUL: f"**no** ({harm})", HARMLESS: "yes"}.get(
        explored.word, f"no harm seen: {explored.reason}"
    )
    states = sum(graph.states for graph in explored.graphs)
    orders = sum(graph.orders for graph in explored.graphs)
    bound = next((g.preemptions for g in explored.graphs if g.preemptions is not None), None)
    covered = f"{states} states" + (
        f", up to {bound} preemption{'s' * (bound != 1)}"
        if bound is not None
        else f", {orders:.3g} orders"
    )
    return (
        f"| {remedy.name} | {remedy.about} | {safe} | {covered} | {explored.commands} "
        f"| {remedy.costs} |"
    )


def draw(rows: list[str]) -> str:
    """The page, as Markdown."""
    return HEAD + "\n".join(rows) + "\n"
