"""The graph of states as a file for Graphviz."""

import re
from dataclasses import replace
from pathlib import Path

from chainrace.explore.options import Options
from chainrace.judge.explored import MOST_EDGES, Edge, Graph
from chainrace.judge.outcome import MODES
from chainrace.model.mode import HEALTHY, INIT_FAILED
from chainrace.report import graphviz, page
from chainrace.report.explored import ExplorationFolder
from chainrace.report.results import Asked, ResultsFolder
from chainrace.subjects.kubelet.modes import HINT_LOST
from tests.unit.explorations import HARMED
from tests.unit.test_exploration import BOTH, FIXED, IPV4, OUTAGE, explore
from tests.unit.test_explored import SOUND, end, graph

EDGES = (
    Edge("first", "k", "kubelet begins", "second"),
    Edge("first", "s", "script begins", "third"),
    Edge("second", "s", 'iptables -m comment --comment "a \\ b & c"', "s* k*"),
    Edge("third", "k", "iptables -w 5 " + "-N A " * 40, "k* s*"),
)
DRAWN = graph(end("k* s*", HEALTHY), end("s* k*", INIT_FAILED, HINT_LOST), edges=EDGES)
# "a \"quoted\" word", as Graphviz reads it: a backslash stands before a quote or another.
STRING = r'"(?:[^"\\]|\\.)*"'
STATEMENT = re.compile(
    rf"  (?:\d+ -> \d+|\d+|node|edge)(?: \[(?:\w+=(?:{STRING}|\w+)(?:, )?)+\])?;"
)


def body(text: str) -> list[str]:
    """The statements of a drawing, each of which Graphviz can read."""
    head, *statements, last, nothing = text.split("\n")
    assert re.fullmatch(rf"digraph {STRING} {{", head)
    assert (last, nothing) == ("}", "")
    for one in statements:
        assert STATEMENT.fullmatch(one), one
    return statements


def test_states_are_numbered_as_they_were_found_and_edges_say_lane_and_command() -> None:
    statements = body(graphviz.dot("original, ipv4", DRAWN))
    assert '  0 -> 1 [label="k: kubelet begins", tooltip="k: kubelet begins"];' in statements
    assert '  0 -> 2 [label="s: script begins", tooltip="s: script begins"];' in statements
    long = next(one for one in statements if one.startswith("  2 -> 4"))
    assert "…" in long.split("tooltip")[0]
    assert ("-N A " * 40).strip() in long.split("tooltip")[1]


def test_an_end_has_its_failure_modes_and_their_colour() -> None:
    statements = body(graphviz.dot("original, ipv4", DRAWN))
    failed = next(one for one in statements if one.startswith("  3 ["))
    assert r'label="3\ninit_failed, hint_lost"' in failed
    assert f'fillcolor="{MODES[INIT_FAILED].light}"' in failed
    assert 'tooltip="s* k*"' in failed
    assert f'fillcolor="{MODES[HEALTHY].light}"' in next(
        one for one in statements if "  4 [" in one
    )


def test_no_name_and_no_command_can_end_its_label() -> None:
    assert graphviz.quoted('a "b" \\', "c\nd") == r'"a \"b\" \\\nc d"'
    assert graphviz.quoted("&lt; \\N") == r'"&amp;lt; \\N"'
    assert graphviz.quoted("\x00\x1b[31m\ud800a") == '"a"'
    for nasty in ('"]; x', "\\", "\n", "}", '\\"', "<b>"):
        edges = (Edge("first", "s", nasty, "k* s*"),)
        body(graphviz.dot(nasty, replace(DRAWN, edges=edges)))


def test_an_exploration_knows_its_edges_from_the_start_to_every_end() -> None:
    (drawn,) = explore(OUTAGE, IPV4).graphs
    assert len(drawn.edges) == drawn.transitions
    assert (drawn.edges[0].lane, drawn.edges[0].command) == ("k", "kubelet begins")
    assert "script begins" in {one.command for one in drawn.edges if one.lane == "s"}
    left = {one.origin for one in drawn.edges}
    assert {one.target for one in drawn.edges} - left == {one.key for one in drawn.ends}
    body(graphviz.dot("original, ipv4", drawn))


def test_families_that_are_explored_together_have_the_same_edges() -> None:
    ipv4, ipv6 = explore(FIXED, BOTH, Options(preemptions=0)).graphs
    assert ipv4.edges == ipv6.edges != ()


def test_a_script_leaves_a_file_for_each_family_where_the_edges_are_known(tmp_path: Path) -> None:
    folder = ExplorationFolder(tmp_path)
    folder.end_states(replace(HARMED, graphs=(DRAWN, *HARMED.graphs[1:])))
    assert [one.name for one in folder.path.glob("*.dot")] == ["graph-original-ipv4.dot"]
    run = ResultsFolder(tmp_path, Asked(script="my save.sh", evidence=("exploration",)))
    run.exploration(replace(SOUND, script="my save.sh", graphs=(DRAWN,)))
    assert [one.name for one in run.path.glob("*.dot")] == ["graph-my_save.sh-ipv4.dot"]


def test_the_page_leads_to_the_file_and_says_where_there_is_none(tmp_path: Path) -> None:
    def drawn(*graphs: Graph) -> str:
        folder = ExplorationFolder(tmp_path)
        mine = replace(SOUND, script="mine.sh", graphs=graphs)
        folder.end_states(mine)
        folder.conclude({"mine.sh": mine}, {}, interrupted=False)
        return page.draw(folder.path)

    other = graph(end("x* s*", HEALTHY), family="ipv6", transitions=0)
    text = drawn(DRAWN, other)
    assert 'href="graph-mine.sh-ipv4.dot"' in text
    assert "no file of the state graph" not in text
    text = drawn(replace(DRAWN, edges=(), transitions=MOST_EDGES + 1), other)
    assert "mine.sh, ipv4: 5,001 steps between states" in text
    assert "mine.sh, ipv6" in text.split("no file of the state graph")[1].split("</p>")[0]
    assert 'href="graph-' not in text
