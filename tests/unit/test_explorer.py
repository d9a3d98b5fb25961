"""The explorer against made-up systems whose whole behaviour is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrace.race.explorer import Explorer, Observation, UnexpectedStepError
from chainrace.race.step import Footprint

Values = tuple[tuple[str, int], ...]


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

    def run(self, path: tuple[str, ...]) -> Observation:
        done = dict.fromkeys(self.programs, 0)
        values: dict[str, int] = {}
        for actor in path:
            step = self.programs[actor][done[actor]]
            values[step.target] = values.get(step.source, 0) + step.amount
            done[actor] += 1
        left = {a: self.programs[a][n] for a, n in done.items() if n < len(self.programs[a])}
        return Observation(
            (tuple(done.items()), tuple(sorted(values.items()))),
            {actor: step.footprint for actor, step in left.items()},
        )

    def futures(self) -> dict[str, Footprint]:
        return {
            actor: reduce(Footprint.__or__, (step.footprint for step in steps), Footprint())
            for actor, steps in self.programs.items()
        }

    def brute_force(self) -> set[object]:
        steps = [actor for actor, program in self.programs.items() for _ in program]
        return {self.run(path).key for path in set(permutations(steps))}


def explore(system: System, *, reduced: bool) -> Explorer:
    explorer = Explorer(system.run(()), system.futures() if reduced else None)
    while (task := explorer.next_task()) is not None:
        explorer.tell(task, system.run((*task.path, task.actor)))
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
def test_every_path_to_an_end_is_a_merge_of_the_actors_steps(system: System) -> None:
    for key, path in explore(system, reduced=True).ends.items():
        assert system.run(path).key == key
        for actor, program in system.programs.items():
            assert path.count(actor) == len(program)


@given(systems)
def test_the_reduction_never_visits_more(system: System) -> None:
    assert explore(system, reduced=True).states <= explore(system, reduced=False).states


def test_steps_that_touch_nothing_in_common_are_explored_in_one_order() -> None:
    system = System({"k": (Add("a", "a", 1),) * 5, "s": (Add("b", "b", 1),) * 5})
    assert explore(system, reduced=False).states == 36
    assert explore(system, reduced=True).states == 11


def test_a_state_reached_on_two_ways_is_explored_once() -> None:
    system = System({"k": (Add("a", "a", 1),) * 3, "s": (Add("a", "a", 1),) * 3})
    full = explore(system, reduced=False)
    assert full.states == 16
    assert full.merges == 9
    assert full.interleavings() == 20  # 6 steps, 3 of them kubelet's


def test_a_step_beyond_the_known_future_is_refused() -> None:
    system = System({"k": (Add("a", "a", 1),), "s": (Add("b", "b", 1),)})
    with pytest.raises(UnexpectedStepError, match="k wants"):
        Explorer(system.run(()), {"k": Footprint(), "s": Footprint()})
