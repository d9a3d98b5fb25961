"""The graph of states as a file for Graphviz: `graph-<script>-<family>.dot`."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from chainrace.base.files import is_file, write_whole
from chainrace.base.text import line
from chainrace.judge.explored import MOST_EDGES, Explored, Graph
from chainrace.judge.outcome import MODES
from chainrace.report.verdict import Document, explored_in
from chainrace.report.writing import file_name

# Of a command beside its edge; whoever points at the edge in an SVG sees all of it.
MOST_LETTERS = 60


def name_of(script: str, family: str) -> str:
    """The name of a graph's file."""
    return f"graph-{file_name(script)}-{family}.dot"


def write(folder: Path, explored: Explored) -> None:
    """Write a file for each graph of a script of which the edges are known."""
    for graph in explored.graphs:
        if graph.edges:
            title = f"{explored.script}, {graph.family}"
            write_whole(folder / name_of(explored.script, graph.family), dot(title, graph))


def told(folder: Path, document: Document) -> tuple[list[str], list[str]]:
    """The names of the graphs' files that a folder has, and a word on each that is too large."""
    files, left_out = [], []
    for script, explored in explored_in(document).items():
        graphs = explored["graphs"]
        # Families that were explored together have one graph; its steps are counted in the first.
        most = max((graph.get("transitions", 0) for graph in graphs), default=0)
        for graph in graphs:
            steps = graph.get("transitions", 0) or most
            name = name_of(script, graph["family"])
            if is_file(folder / name, below=folder):
                files.append(name)
            elif steps > MOST_EDGES:
                left_out.append(f"{script}, {graph['family']}: {steps:,} steps between states")
    return files, left_out


def dot(title: str, graph: Graph) -> str:
    """A graph in Graphviz's language (graphviz.org, `doc/info/lang`).

    Nodes are states, numbered in the order in which they were found, from 0; an end state has
    its failure modes and their colour. An edge has the lane that steps, and its command.
    """
    return "\n".join((f"digraph {quoted(title)} {{", *_body(graph), "}")) + "\n"


def _body(graph: Graph) -> Iterator[str]:
    yield '  node [shape=circle, fontname="sans-serif"];'
    yield '  edge [fontname="sans-serif", fontsize=10];'
    keys = dict.fromkeys(itertools.chain(*((one.origin, one.target) for one in graph.edges)))
    numbers = {key: number for number, key in enumerate(keys)}
    ends = {end.key: end for end in graph.ends}
    for key, number in numbers.items():
        if end := ends.get(key):
            label = quoted(str(number), ", ".join(end.outcome.modes))
            colour = MODES[end.outcome.outcome].light
            schedule = quoted(str(end.schedule))
            yield (
                f"  {number} [shape=box, style=filled, "
                f'fillcolor="{colour}", label={label}, tooltip={schedule}];'
            )
        else:
            yield f"  {number};"
    for one in graph.edges:
        said = f"{one.lane}: {one.command}"
        short = said if len(said) <= MOST_LETTERS else said[: MOST_LETTERS - 1] + "…"
        way = f"{numbers[one.origin]} -> {numbers[one.target]}"
        yield f"  {way} [label={quoted(short)}, tooltip={quoted(said)}];"


def quoted(*lines: str) -> str:
    r"""A label of one line or several, `"iptables -m comment --comment \"a\""`.

    A backslash would begin an escape, and & a name of HTML's, which Graphviz reads in labels too.
    """
    escaped = (
        line(one).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') for one in lines
    )
    return '"' + "\\n".join(escaped) + '"'
