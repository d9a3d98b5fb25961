"""The explorer against made-up systems whose whole behaviour is known."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import permutations, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrace.race.explorer import Explorer, Observation, Path, Task
from chainrace.race.schedule import Schedule, from_steps
from chainrace.race.shortest import plain_paths, plainest
from chainrace.race.step import Footprint
from chainrace.race.trace import Step, Trace


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
    """Actors with their programs, and what the variables hold."""

    programs: Mapping[str, tuple[Add, ...]]

    def values(self, path: Path) -> tuple[dict[str, int], dict[str, int]]:
        done = dict.fromkeys(self.programs, 0)
        values: dict[str, int] = {}
        for actor in path:
            step = self.programs[actor][done[actor]]
            values[step.target] = values.get(step.source, 0) + step.amount
            done[actor] += 1
        return done, values

    def observe(self, path: Path) -> Observation:
        done, values = self.values(path)
        left = {actor: program[done[actor] :] for actor, program in self.programs.items()}
        futures = {actor: touched(steps) for actor, steps in left.items()}
        runs = {}
        for actor, steps in left.items():
            others = touched(s for other, more in left.items() if other != actor for s in more)
            alone = [not step.footprint.conflicts(others) for step in steps]
            count = max(1, len(list(takewhile(bool, alone))))
            runs[actor] = named(actor, done[actor], steps[:count])
        return Observation(
            str((sorted(done.items()), sorted(values.items()))),
            {actor: steps[0].footprint for actor, steps in left.items() if steps},
            futures,
            runs,
        )

    def brute_force(self) -> set[str]:
        steps = [actor for actor, program in self.programs.items() for _ in program]
        return {self.observe(path).key for path in set(permutations(steps))}


def named(actor: str, first: int, steps: Iterable[Add]) -> tuple[Step, ...]:
    return tuple(Step(f"{actor}{n}", one.footprint) for n, one in enumerate(steps, first))


def made(task: Task, system: System) -> tuple[Step, ...]:
    first = task.path.count(task.actor)
    return named(task.actor, first, system.programs[task.actor][first : first + task.steps])


def touched(steps: Iterable[Add]) -> Footprint:
    return reduce(Footprint.__or__, (step.footprint for step in steps), Footprint())


def explore(system: System, *, reduced: bool, preemptions: int | None = None) -> Explorer:
    explorer = Explorer(system.observe(()), reduced, preemptions)
    while (task := explorer.take()) is not None:
        path = (*task.path, *(task.actor,) * task.steps)
        explorer.tell(task, made(task, system), system.observe(path))
    assert explorer.open == 0
    return explorer


names = st.sampled_from(["a", "b", "c"])
adds = st.builds(Add, source=names, target=names, amount=st.integers(0, 2))
systems = st.builds(
    lambda k, s: System({"k": tuple(k), "s": tuple(s)}),
    st.lists(adds, max_size=4),
    st.lists(adds, max_size=3),
)


@given(systems)
def test_every_end_state_of_brute_force_is_found_with_and_without_reduction(
    system: System,
) -> None:
    wanted = system.brute_force()
    assert set(explore(system, reduced=False).ends) == wanted
    assert set(explore(system, reduced=True).ends) == wanted


@given(systems)
def test_every_edge_of_the_graph_is_what_making_its_steps_leads_to(system: System) -> None:
    explorer = explore(system, reduced=True)
    for key, edges in explorer.edges.items():
        for actor, edge in edges.items():
            path = (*explorer.paths[key], *(actor,) * edge.steps)
            assert system.observe(path).key == edge.target


@given(systems)
def test_every_path_to_an_end_is_a_merge_of_the_actors_steps(system: System) -> None:
    explorer = explore(system, reduced=True)
    for key in explorer.ends:
        path = explorer.paths[key]
        assert system.observe(path).key == key
        for actor, program in system.programs.items():
            assert path.count(actor) == len(program)


@given(systems)
def test_the_reduction_never_visits_more(system: System) -> None:
    assert explore(system, reduced=True).states <= explore(system, reduced=False).states


@given(systems, st.integers(0, 3))
def test_within_a_bound_every_end_that_so_few_preemptions_reach_is_found(
    system: System, bound: int
) -> None:
    steps = [actor for actor, program in system.programs.items() for _ in program]
    wanted = {
        system.observe(path).key
        for path in set(permutations(steps))
        if not path or from_steps(path).preemptions <= bound
    }
    found = set(explore(system, reduced=False, preemptions=bound).ends)
    assert found == wanted
    assert wanted <= set(explore(system, reduced=True, preemptions=bound).ends)


@given(systems)
def test_the_plainest_schedule_leads_to_the_same_end_with_no_more_preemptions(
    system: System,
) -> None:
    explorer = explore(system, reduced=True)
    paths = plain_paths(explorer)
    for key in explorer.ends:
        if not paths[key]:
            continue
        schedule = plainest(paths[key], trace_of(paths[key], system))
        assert schedule.preemptions <= from_steps(paths[key]).preemptions
        assert system.observe(walked(schedule, system)).key == key


def trace_of(path: Path, system: System) -> Trace:
    trace = Trace()
    for at, actor in enumerate(path):
        number = path[:at].count(actor)
        trace = trace.after(actor, named(actor, number, [system.programs[actor][number]]))
    return trace


@given(systems)
def test_paths_with_the_same_trace_lead_to_the_same_state(system: System) -> None:
    steps = [actor for actor, program in system.programs.items() for _ in program]
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


def test_steps_that_touch_nothing_in_common_are_explored_in_one_order() -> None:
    system = System({"k": (Add("a", "a", 1),) * 5, "s": (Add("b", "b", 1),) * 5})
    assert explore(system, reduced=False).states == 36
    assert explore(system, reduced=True).states == 3  # all of k's at once, then all of s's


def test_a_state_reached_on_two_ways_is_explored_once() -> None:
    system = System({"k": (Add("a", "a", 1),) * 3, "s": (Add("a", "a", 1),) * 3})
    full = explore(system, reduced=False)
    assert full.states == 16
    assert full.merges == 9
    assert full.interleavings() == 20  # 6 steps, 3 of them kubelet's


def test_two_that_explore_together_find_the_same_graph() -> None:
    system = System({"k": (Add("a", "a", 1), Add("b", "a", 2)) * 2, "s": (Add("a", "b", 1),) * 3})
    explorer = Explorer(system.observe(()))
    while (first := explorer.take()) is not None:
        second = explorer.take()
        for task in (second, first):
            if task is not None:
                path = (*task.path, *(task.actor,) * task.steps)
                explorer.tell(task, made(task, system), system.observe(path))
    alone = explore(system, reduced=True)
    assert explorer.seen.keys() == alone.seen.keys()
    assert explorer.edges == alone.edges


def test_a_task_given_back_is_offered_again() -> None:
    system = System({"k": (Add("a", "a", 1),), "s": (Add("a", "b", 1),)})
    explorer = Explorer(system.observe(()))
    task = explorer.take()
    assert task is not None
    explorer.give_back(task)
    assert explorer.take() == task


def test_what_was_not_taken_cannot_be_told() -> None:
    system = System({"k": (Add("a", "a", 1),), "s": (Add("a", "b", 1),)})
    explorer = Explorer(system.observe(()))
    task = Task(explorer.initial.key, (), "k", 1)
    with pytest.raises(ValueError, match="was not taken"):
        explorer.tell(task, made(task, system), system.observe(("k",)))


def test_a_snapshot_is_needed_while_something_open_leads_through_it() -> None:
    system = System({"k": (Add("a", "a", 1),) * 2, "s": (Add("a", "b", 1),) * 2})
    explorer = Explorer(system.observe(()))
    while (task := explorer.take()) is not None:
        path = (*task.path, *(task.actor,) * task.steps)
        explorer.tell(task, made(task, system), system.observe(path))
    assert not explorer.leads_through(())
