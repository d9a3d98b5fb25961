"""The explorer against made-up systems whose whole behaviour is known."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrace.model.actors import owner
from chainrace.model.schedule import Schedule, cost, from_steps
from chainrace.search.explorer import Explorer, Observation, Path, Task
from chainrace.search.shortest import short_paths, shortest
from chainrace.search.step import EVERYTHING, Footprint
from chainrace.search.trace import Step, Trace


@dataclass(frozen=True)
class Add:
    """Read one variable and write what was read plus a number into another."""

    source: str
    target: str
    amount: int

    @property
    def footprint(self) -> Footprint:
        return Footprint(frozenset({self.source}), frozenset({self.target}))


@dataclass(frozen=True)
class System:
    """Lanes with their programs, and what the variables hold.

    A lane of the script's other than `s` is there only as long as those before it are.
    """

    programs: Mapping[str, tuple[Add, ...]]

    def values(self, path: Path) -> tuple[dict[str, int], dict[str, int]]:
        done = dict.fromkeys(self.programs, 0)
        values: dict[str, int] = {}
        for lane in path:
            step = self.programs[lane][done[lane]]
            values[step.target] = values.get(step.source, 0) + step.amount
            done[lane] += 1
        return done, values

    def observe(self, path: Path) -> Observation:
        done, values = self.values(path)
        left = {lane: program[done[lane] :] for lane, program in self.programs.items()}
        actors: dict[str, list[Add]] = {}
        for lane, steps in left.items():
            actors.setdefault(owner(lane), []).extend(steps)
        return Observation(
            str((sorted(done.items()), sorted(values.items()))),
            {lane: steps[0].footprint for lane, steps in left.items() if steps},
            {lane: touched(actors[owner(lane)]) for lane in left},
        )

    def brute_force(self) -> set[str]:
        steps = [lane for lane, program in self.programs.items() for _ in program]
        return {self.observe(path).key for path in set(permutations(steps))}


def named(lane: str, first: int, steps: Iterable[Add]) -> tuple[Step, ...]:
    return tuple(Step(f"{lane}{n}", one.footprint) for n, one in enumerate(steps, first))


def touched(steps: Iterable[Add]) -> Footprint:
    return reduce(Footprint.__or__, (step.footprint for step in steps), Footprint())


def tell(explorer: Explorer, task: Task, system: System) -> None:
    explorer.tell(task, system.observe((*task.path, task.actor)))


def explore(system: System, *, reduced: bool, preemptions: int | None = None) -> Explorer:
    explorer = Explorer(system.observe(()), reduced, preemptions)
    while (task := explorer.take()) is not None:
        tell(explorer, task, system)
    assert explorer.open == 0
    return explorer


names = st.sampled_from(["a", "b", "c"])
adds = st.builds(Add, source=names, target=names, amount=st.integers(0, 2))
systems = st.builds(
    lambda k, s: System({"k": tuple(k), "s": tuple(s)}),
    st.lists(adds, max_size=4),
    st.lists(adds, max_size=3),
)
# kubelet's two lanes, and two of the script's.
crowds = st.builds(
    lambda *programs: System(dict(zip("kxst", map(tuple, programs), strict=True))),
    *(st.lists(adds, max_size=2) for _ in "kxs"),
    st.lists(adds, max_size=1),
)


@given(systems)
def test_every_end_state_of_brute_force_is_found_with_and_without_reduction(
    system: System,
) -> None:
    wanted = system.brute_force()
    assert set(explore(system, reduced=False).ends) == wanted
    assert set(explore(system, reduced=True).ends) == wanted


@given(crowds)
@settings(max_examples=50)
def test_also_of_both_families_with_a_script_that_does_two_things_at_once(system: System) -> None:
    wanted = system.brute_force()
    assert set(explore(system, reduced=False).ends) == wanted
    assert set(explore(system, reduced=True).ends) == wanted


@given(systems)
def test_every_edge_of_the_graph_is_what_making_its_step_leads_to(system: System) -> None:
    explorer = explore(system, reduced=True)
    for key, edges in explorer.edges.items():
        for lane, target in edges.items():
            assert system.observe((*explorer.paths[key], lane)).key == target


@given(systems)
def test_every_path_to_an_end_is_a_merge_of_the_actors_steps(system: System) -> None:
    explorer = explore(system, reduced=True)
    for key in explorer.ends:
        path = explorer.paths[key]
        assert system.observe(path).key == key
        for lane, program in system.programs.items():
            assert path.count(lane) == len(program)


@given(systems)
def test_the_reduction_never_visits_more(system: System) -> None:
    assert explore(system, reduced=True).states <= explore(system, reduced=False).states


@given(systems, st.integers(0, 3))
def test_within_a_bound_every_end_that_so_few_preemptions_reach_is_found(
    system: System, bound: int
) -> None:
    steps = [lane for lane, program in system.programs.items() for _ in program]
    wanted = {
        system.observe(path).key
        for path in set(permutations(steps))
        if not path or from_steps(path).preemptions <= bound
    }
    found = set(explore(system, reduced=False, preemptions=bound).ends)
    assert found == wanted
    assert wanted <= set(explore(system, reduced=True, preemptions=bound).ends)


@given(systems)
def test_the_shortest_schedule_leads_to_the_same_end_with_no_more_preemptions(
    system: System,
) -> None:
    explorer = explore(system, reduced=True)
    paths = short_paths(explorer)
    for key in explorer.ends:
        if not paths[key]:
            continue
        schedule = shortest(paths[key], trace_of(paths[key], system))
        assert schedule.preemptions <= from_steps(paths[key]).preemptions
        assert system.observe(walked(schedule, system)).key == key


def trace_of(path: Path, system: System) -> Trace:
    trace = Trace()
    for at, lane in enumerate(path):
        number = path[:at].count(lane)
        trace = trace.after(lane, named(lane, number, [system.programs[lane][number]]))
    return trace


@given(systems)
def test_paths_with_the_same_trace_lead_to_the_same_state(system: System) -> None:
    steps = [lane for lane, program in system.programs.items() for _ in program]
    states: dict[object, set[str]] = {}
    for path in set(permutations(steps)):
        states.setdefault(trace_of(path, system).key, set()).add(system.observe(path).key)
    assert all(len(found) == 1 for found in states.values())


def walked(schedule: Schedule, system: System) -> Path:
    path: list[str] = []
    for turn in schedule.turns:
        left = len(system.programs[turn.actor]) - path.count(turn.actor)
        path += [turn.actor] * (left if turn.steps is None else turn.steps)
    return tuple(path)


def test_a_path_through_several_lanes_of_the_scripts_keeps_its_order() -> None:
    """Which process is which lane depends on it."""
    assert str(shortest(("s", "k", "t", "s"), Trace())) == "s1 k* t1 s*"


def test_the_shortest_way_does_not_depend_on_what_was_found_first() -> None:
    one, other = Add("a", "a", 1), Add("b", "b", 1)
    system = System({"k": (one, other), "s": (other, one)})
    first, second = (explore(system, reduced=False) for _ in range(2))
    second.edges = {
        key: dict(reversed(edges.items())) for key, edges in reversed(second.edges.items())
    }
    assert short_paths(first) == short_paths(second)


def test_a_schedule_with_fewer_stops_is_plainer() -> None:
    assert cost(from_steps(tuple("kks"))) < cost(from_steps(tuple("ksk")))
    assert cost(from_steps(tuple("kssk"))) < cost(from_steps(tuple("kksk")))


def test_steps_that_touch_nothing_in_common_are_explored_in_one_order() -> None:
    system = System({"k": (Add("a", "a", 1),) * 5, "s": (Add("b", "b", 1),) * 5})
    assert explore(system, reduced=False).states == 36
    assert explore(system, reduced=True).states == 11  # one after the other


def test_a_state_reached_on_two_ways_is_explored_once() -> None:
    system = System({"k": (Add("a", "a", 1),) * 3, "s": (Add("a", "a", 1),) * 3})
    full = explore(system, reduced=False)
    assert full.states == 16
    assert full.merges == 9
    assert full.interleavings() == 20  # 6 steps, 3 of them kubelet's


READS_A = Footprint(reads=frozenset("a"))
WRITES_A, WRITES_B = (Footprint(writes=frozenset(name)) for name in "ab")
NOTHING = Footprint()


def to_try(enabled: dict[str, Footprint], futures: dict[str, Footprint]) -> tuple[str, ...]:
    return Explorer(Observation("", enabled, futures)).to_try("")


def test_a_step_is_taken_alone_only_where_no_others_future_conflicts() -> None:
    both = {"k": WRITES_A, "s": WRITES_B}
    assert to_try(both, {"k": WRITES_A, "s": WRITES_B}) == ("k",)
    assert to_try(both, {"k": WRITES_A, "s": WRITES_B | READS_A}) == ("s",)
    assert to_try(both, {"k": WRITES_A | WRITES_B, "s": WRITES_B | READS_A}) == ("k", "s")
    flush = Footprint(writes=frozenset({"ipv4/filter/rules"}))
    known = {"k": flush, "s": Footprint()}
    assert to_try(known, {"k": flush, "s": EVERYTHING}) == ("s",)
    assert to_try({"k": flush, "s": flush}, dict.fromkeys("ks", EVERYTHING)) == ("k", "s")


def test_what_only_reads_the_same_may_be_taken_alone() -> None:
    assert to_try({"k": READS_A, "s": READS_A}, {"k": READS_A, "s": READS_A}) == ("k",)


def test_with_one_lane_of_the_scripts_come_all_of_its_lanes() -> None:
    """What one does decides which lane another is, and what that still does."""
    enabled = {"k": WRITES_A, "s": WRITES_B, "t": WRITES_B}
    futures = {"k": WRITES_A | WRITES_B, "s": WRITES_B | READS_A, "t": WRITES_B | READS_A}
    assert to_try(enabled, futures) == ("k", "s", "t")
    enabled = {"k": WRITES_A, "s": WRITES_B, "t": NOTHING}
    futures = {"k": WRITES_A, "s": WRITES_B | READS_A, "t": WRITES_B | READS_A}
    assert to_try(enabled, futures) == ("s", "t")


def test_kubelets_lanes_are_two_actors() -> None:
    enabled = {"k": WRITES_A, "x": WRITES_B, "s": READS_A}
    futures = {"k": WRITES_A, "x": WRITES_B, "s": READS_A}
    assert to_try(enabled, futures) == ("x",)
    assert to_try(enabled, {**futures, "k": WRITES_A | WRITES_B, "x": WRITES_A}) == ("k", "s", "x")


def test_one_that_cannot_step_now_and_may_conflict_later_brings_all_in() -> None:
    enabled = {"k": WRITES_A, "x": WRITES_B}
    futures = {"k": WRITES_A, "x": WRITES_B, "s": READS_A}
    assert to_try(enabled, futures) == ("x",)
    assert to_try(enabled, {**futures, "s": READS_A | WRITES_B}) == ("k", "x")


def test_without_reduction_every_lane_is_tried() -> None:
    seen = Observation("", {"k": NOTHING, "s": NOTHING}, {"k": NOTHING, "s": NOTHING})
    assert Explorer(seen, reduced=False).to_try("") == ("k", "s")


def test_an_end_is_where_no_lane_can_step() -> None:
    explorer = Explorer(Observation("", {}, {"k": EVERYTHING}))
    assert explorer.ends == [""]
    assert explorer.take() is None
    assert explorer.interleavings() == 1


def test_two_that_explore_together_find_the_same_graph() -> None:
    system = System({"k": (Add("a", "a", 1), Add("b", "a", 2)) * 2, "s": (Add("a", "b", 1),) * 3})
    explorer = Explorer(system.observe(()))
    while (first := explorer.take()) is not None:
        second = explorer.take()
        for task in (second, first):
            if task is not None:
                tell(explorer, task, system)
    alone = explore(system, reduced=True)
    assert explorer.seen.keys() == alone.seen.keys()
    assert explorer.edges == alone.edges


def test_a_task_given_back_is_offered_again() -> None:
    system = System({"k": (Add("a", "a", 1),), "s": (Add("a", "b", 1),)})
    explorer = Explorer(system.observe(()))
    task = explorer.take()
    assert task is not None
    assert explorer.open == 2
    explorer.give_back(task)
    assert explorer.open == 2
    assert explorer.take() == task


def test_what_was_not_taken_cannot_be_told() -> None:
    system = System({"k": (Add("a", "a", 1),), "s": (Add("a", "b", 1),)})
    explorer = Explorer(system.observe(()))
    with pytest.raises(ValueError, match="was not taken"):
        tell(explorer, Task(explorer.initial.key, (), "k"), system)


def test_a_snapshot_is_needed_while_something_open_leads_through_it() -> None:
    system = System({"k": (Add("a", "a", 1),) * 2, "s": (Add("a", "b", 1),) * 2})
    explorer = Explorer(system.observe(()))
    assert explorer.leads_through(())
    assert not explorer.leads_through(("k",))
    while (task := explorer.take()) is not None:
        tell(explorer, task, system)
    assert not explorer.leads_through(())
