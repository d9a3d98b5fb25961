"""A whole exploration against a made-up node: what is found, and how it gets there."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrace.errors import LabError
from chainrace.force.exploration import Exploration, Options, Progress
from chainrace.force.findings import confirm
from chainrace.force.replay import Replayer, lazy_in, turns_of
from chainrace.force.roots import FIRST, lazy_for, lead_for
from chainrace.force.store import Store
from chainrace.force.views import Reference
from chainrace.force.walker import MAX_SNAPSHOTS, Walker
from chainrace.node.agent import Agent
from chainrace.node.snapshots import Snapshots
from chainrace.race.force import Graph
from chainrace.race.outcome import CANARY_LOST, HEALTHY, HINT_LOST, INIT_FAILED, RULES_LOST
from chainrace.race.schedule import parse
from tests.unit.fakenode import FakeAgent, FakeSnapshots

HARMFUL = ("iptables-save", "iptables -t mangle -X", "iptables -t filter -X", "iptables-restore")
HARMLESS = ("iptables-save", "ip6tables-save")


def walker(
    agent: FakeAgent, snapshots: FakeSnapshots | None, family: str = FIRST, *, ordered: bool = False
) -> Walker:
    return Walker(
        cast("Agent", agent),
        cast("Snapshots | None", snapshots),
        "/script",
        FIRST,
        lazy_for(family, rootless=ordered),
        limit=10,
        lead=lead_for(family, rootless=ordered),
    )


def replayer_of(script: tuple[str, ...]) -> Replayer:
    return Replayer(cast("Agent", FakeAgent(script)), "/script", 10)


def clean_start() -> Reference:
    return replayer_of(HARMLESS).reference()


def explore(
    folder: Path,
    script: tuple[str, ...],
    options: Options = Options(),  # noqa: B008 - frozen
    agents: tuple[FakeAgent, ...] = (),
    *,
    snapshots: bool = True,
    family: str = FIRST,
    ordered: bool = False,
) -> tuple[Exploration, Graph]:
    agents = agents or (FakeAgent(script),)
    told: list[Progress] = []
    exploration = Exploration(
        family,
        [
            walker(agent, FakeSnapshots(agent) if snapshots else None, family, ordered=ordered)
            for agent in agents
        ],
        clean_start(),
        options,
        Store(folder / "store.jsonl"),
        tell=told.append,
    )
    exploration.prepare()
    exploration.run()
    return exploration, exploration.graph()


def left_by(exploration: Exploration) -> set[tuple[str, str]]:
    return {
        (ending.after["ipv4"], ending.words["ipv4"])
        for ending in exploration.known.endings.values()
    }


@pytest.mark.parametrize("script", [HARMFUL, HARMLESS, HARMFUL + HARMFUL[1:]])
def test_the_reduction_loses_no_end_state(tmp_path: Path, script: tuple[str, ...]) -> None:
    whole, every = explore(tmp_path / "a", script, Options(reduced=False))
    reduced, fewer = explore(tmp_path / "b", script)
    assert left_by(whole) == left_by(reduced)
    assert fewer.transitions < every.transitions
    assert every.complete
    assert fewer.complete


COMMANDS = (
    *("iptables-save", "iptables-restore", "ip6tables-save"),
    *("iptables -t mangle -X", "iptables -t filter -X", "iptables -t filter -N KUBE-FIREWALL"),
)


@given(script=st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=4).map(tuple))
@settings(max_examples=40)
def test_what_is_inferred_and_left_out_loses_no_end_state_of_any_script(
    script: tuple[str, ...],
) -> None:
    with TemporaryDirectory() as name:
        whole, _ = explore(Path(name) / "a", script, Options(reduced=False))
        reduced, graph = explore(Path(name) / "b", script)
    assert left_by(whole) == left_by(reduced)
    assert graph.complete


def test_most_steps_are_inferred(tmp_path: Path) -> None:
    agent = FakeAgent(HARMFUL)
    _, graph = explore(tmp_path, HARMFUL, agents=(agent,))
    assert graph.walked < graph.transitions / 2


def test_harm_is_found_and_named(tmp_path: Path) -> None:
    _, graph = explore(tmp_path, HARMFUL)
    assert graph.classes().keys() == {HEALTHY, INIT_FAILED, HINT_LOST, RULES_LOST, CANARY_LOST}


CANARY_STEP = "iptables -t mangle -N KUBE-KUBELET-CANARY"


def test_a_gate_that_misses_a_step_of_kubelets_proves_nothing(tmp_path: Path) -> None:
    agent = FakeAgent(HARMLESS)
    agent.unseen = (CANARY_STEP,)
    with pytest.raises(LabError, match=f"kubelet was not seen to run {CANARY_STEP}"):
        explore(tmp_path, HARMLESS, agents=(agent,))


def test_a_gate_that_misses_a_step_gives_no_reference() -> None:
    agent = FakeAgent(HARMLESS)
    agent.unseen = (CANARY_STEP,)
    with pytest.raises(LabError, match="not seen to make ipv4 mangle :KUBE-KUBELET-CANARY"):
        Replayer(cast("Agent", agent), "/script", 10).reference()


def test_a_harmless_script_has_only_healthy_ends(tmp_path: Path) -> None:
    _, graph = explore(tmp_path, HARMLESS)
    assert graph.classes().keys() == {HEALTHY}
    assert graph.orders == 15  # four steps of kubelet's and two of the script's


def test_without_snapshots_every_way_is_walked_from_a_fresh_start(tmp_path: Path) -> None:
    agent = FakeAgent(HARMFUL)
    _, walked = explore(tmp_path / "a", HARMFUL, agents=(agent,), snapshots=False)
    _, restored = explore(tmp_path / "b", HARMFUL)
    assert walked.states == restored.states
    assert walked.classes() == restored.classes()
    assert agent.asked.count("arm") > 10


def test_two_nodes_find_what_one_finds(tmp_path: Path) -> None:
    both = (FakeAgent(HARMFUL), FakeAgent(HARMFUL))
    _, shared = explore(tmp_path / "a", HARMFUL, agents=both)
    _, alone = explore(tmp_path / "b", HARMFUL)
    assert shared.states == alone.states
    assert {end.key for end in shared.ends} == {end.key for end in alone.ends}


def test_ipv6_is_explored_from_where_ipv4_is_done(tmp_path: Path) -> None:
    script = ("ip6tables-save", "ip6tables -t mangle -X", "ip6tables-restore")
    _, graph = explore(tmp_path, script, family="ipv6")
    assert graph.complete
    lost = [end for end in graph.ends if HINT_LOST in end.outcome.classes]
    assert {str(end.schedule) for end in lost} == {"s1 x* s*"}


def test_a_host_too_slow_for_its_budget_walks_the_least_that_was_asked_for(tmp_path: Path) -> None:
    _, graph = explore(tmp_path, HARMLESS, Options(budget=0.0, least=100))
    assert graph.complete


def test_what_was_found_is_not_walked_again(tmp_path: Path) -> None:
    _, cut = explore(tmp_path, HARMFUL, Options(budget=0.0))
    assert cut.open > 0
    assert not cut.complete
    _, first = explore(tmp_path, HARMFUL)
    agent = FakeAgent(HARMFUL)
    _, again = explore(tmp_path, HARMFUL, agents=(agent,))
    assert again.states == first.states
    assert agent.asked.count("walk") < 10


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path: Path) -> None:
    _, first = explore(tmp_path, HARMFUL)
    file = tmp_path / "store.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    _, again = explore(tmp_path, HARMFUL)
    assert again.states == first.states


def test_kubelets_choice_of_the_other_family_starts_it_anew(tmp_path: Path) -> None:
    agent = FakeAgent(HARMFUL, firsts=("ipv6", "ipv6", "ipv4"))
    _, graph = explore(tmp_path, HARMFUL, agents=(agent,))
    assert agent.asked.count("arm") == 3
    assert graph.complete
    assert graph.differing == 0


def test_a_kubelet_that_never_begins_with_the_family_is_an_error(tmp_path: Path) -> None:
    agent = FakeAgent(HARMFUL, firsts=("ipv6",) * 200)
    with pytest.raises(LabError, match="never began with ipv4"):
        explore(tmp_path, HARMFUL, agents=(agent,))


def test_a_broken_walk_is_made_again_and_counted(tmp_path: Path) -> None:
    agent = FakeAgent(HARMFUL)
    agent.broken = 2
    _, graph = explore(tmp_path, HARMFUL, agents=(agent,))
    assert graph.differing == 2
    agent = FakeAgent(HARMFUL)
    agent.broken = 3
    with pytest.raises(LabError, match="failed 3 times: kubelet ended"):
        explore(tmp_path / "b", HARMFUL, agents=(agent,))


def test_a_script_that_does_not_end_is_told_so_at_once(tmp_path: Path) -> None:
    agent = FakeAgent(HARMFUL)
    exploration = Exploration(
        "ipv4",
        [walker(agent, FakeSnapshots(agent))],
        clean_start(),
        Options(),
        Store(tmp_path / "store.jsonl"),
        tell=lambda _: None,
    )
    agent.endless = True
    with pytest.raises(LabError, match="does not come to its end while kubelet waits"):
        exploration.prepare()
    assert agent.asked.count("walk") == 2


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_script_that_kubelets_start_waits_for_has_one_order(tmp_path: Path, family: str) -> None:
    agent = FakeAgent(HARMFUL, ordered=True)
    _, graph = explore(tmp_path, HARMFUL, agents=(agent,), family=family, ordered=True)
    assert graph.complete
    assert (graph.orders, graph.interleavings) == (1, 1)
    assert graph.classes() == {HEALTHY: 1}


def test_a_script_that_restarts_kubelet_is_explored_with_a_bound_alone(tmp_path: Path) -> None:
    agent = FakeAgent(HARMFUL)
    agent.restart_after = len(HARMFUL)
    with pytest.raises(LabError, match="restarts kubelet") as caught:
        explore(tmp_path / "a", HARMFUL, agents=(agent,))
    assert "--preemptions" in caught.value.remedy
    _, graph = explore(tmp_path / "b", HARMFUL, Options(preemptions=1), agents=(agent,))
    assert graph.open == 0
    assert not graph.complete
    # Whatever was lost before, the kubelet that comes after makes it again.
    assert set(graph.classes()) == {HEALTHY}


def test_a_kubelet_that_is_restarted_is_not_judged_before_it_is(tmp_path: Path) -> None:
    """Not even where nothing that the script still does can touch the family."""
    script = (*HARMFUL, "ip6tables-save", "ip6tables-restore")
    agent = FakeAgent(script)
    agent.restart_after = len(script)
    _, graph = explore(tmp_path, script, Options(preemptions=1), agents=(agent,))
    assert set(graph.classes()) == {HEALTHY}


def test_a_kubelet_that_is_restarted_in_the_middle_meets_the_rest_of_the_script(
    tmp_path: Path,
) -> None:
    script = ("iptables-save", "iptables -t filter -X")
    agent = FakeAgent(script)
    agent.restart_after = 1
    _, graph = explore(tmp_path, script, Options(preemptions=1), agents=(agent,))
    assert INIT_FAILED in graph.classes()


def test_few_snapshots_are_kept_and_none_in_the_end(tmp_path: Path) -> None:
    agent = FakeAgent(HARMFUL)
    snapshots = FakeSnapshots(agent)
    one = walker(agent, snapshots)
    one.costs.add("steps", 1, 100.0)  # so slow that each state is worth keeping
    exploration = Exploration(
        "ipv4",
        [one],
        clean_start(),
        Options(),
        Store(tmp_path / "store.jsonl"),
        tell=lambda _: None,
    )
    exploration.prepare()
    exploration.run()
    assert 2 < snapshots.most <= MAX_SNAPSHOTS
    assert snapshots.kept.keys() == {"root"}
    one.close()
    assert not snapshots.kept


def test_findings_are_replayed_and_watched(tmp_path: Path) -> None:
    _, graph = explore(tmp_path, HARMFUL)
    replayer = replayer_of(HARMFUL)
    kept: list[Any] = []
    found = confirm(graph, replayer, clean_start(), lambda _: None, lambda one, _: kept.append(one))
    assert found == kept
    assert all(one.reproduced for one in found)
    failed = next(one for one in found if INIT_FAILED in one.outcome.classes)
    assert failed.healing is not None
    assert not failed.healing.looked


def test_a_finding_that_comes_out_differently_is_none(tmp_path: Path) -> None:
    _, graph = explore(tmp_path, HARMFUL)
    other = replayer_of(HARMLESS * 2)
    found = confirm(graph, other, clean_start(), lambda _: None, lambda *_: None)
    assert found
    assert not any(one.reproduced for one in found)


def test_what_a_schedule_leaves_out_comes_after_it() -> None:
    assert turns_of(parse("s1 k3")) == [("s", 1), ("k", 3), ("k", None), ("x", None), ("s", None)]
    assert lazy_in(parse("s1 k3")) == ("x",)
    assert lazy_in(parse("s1 x1 s*")) == ("k",)
    assert lazy_in(parse("k1 x1 s*")) == ("x",)
    assert lazy_in(parse("s*")) == ("x",)


def test_an_actor_that_there_is_not_is_refused() -> None:
    with pytest.raises(LabError, match="q is no actor"):
        turns_of(parse("q1 s*"))


def test_more_steps_than_an_actor_has_are_refused() -> None:
    replayer = replayer_of(HARMFUL)
    with pytest.raises(LabError, match="had only 4 of 9 steps left"):
        replayer.run(parse("k9 s*"), replayer.reference())


@pytest.mark.parametrize("script", [HARMFUL, HARMLESS])
def test_every_cell_of_the_map_is_what_its_schedule_leads_to(
    tmp_path: Path, script: tuple[str, ...]
) -> None:
    _, graph = explore(tmp_path, script)
    replayer, reference = replayer_of(script), clean_start()
    assert graph.map.script == script
    assert len(graph.map.kubelet) == 4
    for cell in graph.map.cells:
        replayed = replayer.run(parse(cell.schedule), reference)
        assert replayed.outcome.families["ipv4"].classes == cell.classes, cell


def test_the_map_stops_the_script_only_where_that_can_matter_to_kubelet(tmp_path: Path) -> None:
    _, graph = explore(tmp_path, HARMFUL)
    assert {cell.script for cell in graph.map.cells} == {1, 2, 3, 4}
    by_place = {(cell.before, cell.script, cell.until): cell for cell in graph.map.cells}
    assert by_place[0, 1, 2].schedule == "s1 k2 s* k*"
    assert INIT_FAILED in by_place[0, 1, 2].classes
    assert by_place[2, 1, 2].classes == (HEALTHY,)


def test_the_map_has_no_holes_where_a_step_that_cannot_matter_lies_between(tmp_path: Path) -> None:
    script = ("iptables-save", "ip6tables-save", "iptables -t filter -X", "iptables-restore")
    _, graph = explore(tmp_path, script)
    assert {cell.script for cell in graph.map.cells} == {2, 3, 4}
    for stop in (2, 4):
        assert sum(cell.script == stop for cell in graph.map.cells) == 15


def test_the_map_of_a_script_that_no_order_makes_harmful_is_whole(tmp_path: Path) -> None:
    _, graph = explore(tmp_path, ("iptables-save", "ip6tables-save"))
    assert graph.map.cells
    assert {cell.classes for cell in graph.map.cells} == {(HEALTHY,)}
    stops = {cell.script for cell in graph.map.cells}
    assert len(graph.map.cells) == 15 * len(stops)
