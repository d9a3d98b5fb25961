import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrace.model.schedule import Race, Schedule, Turn, from_steps, parse, parse_text, so_far

steps = st.lists(st.sampled_from(["k", "s", "x", "t"]), min_size=1, max_size=30).map(tuple)


@given(steps)
def test_a_name_is_read_back_as_the_same_schedule(actors: tuple[str, ...]) -> None:
    schedule = from_steps(actors)
    assert parse(str(schedule)) == schedule


def test_a_name_reads_as_one_would_say_it() -> None:
    assert str(from_steps(tuple("kkksskkkkss"))) == "k3 s2 k* s*"
    assert parse("k3 s*") == Schedule((Turn("k", 3), Turn("s", None)))


def test_all_that_the_script_still_has_is_told_of_its_first_lane_alone() -> None:
    """Which of its processes is which lane changes with the order of its own steps."""
    assert str(from_steps(tuple("sstks"))) == "s2 t1 k* s*"
    assert str(from_steps(tuple("stkt"))) == "s1 t1 k* t1"
    assert str(from_steps(tuple("tks"))) == "t1 k* s*"


@pytest.mark.parametrize(
    "race",
    [
        Race("kubelet", "rule.sh", "1a2b3c4d5e6f"),
        Race("docker", "kubelet"),
        Race("node-guard", "a: b beside c.sh", "1a2b3c4d5e6f"),
    ],
)
def test_its_text_says_of_whom_it_is_and_is_read_back(race: Race) -> None:
    assert parse_text(f"{race}: s2 k* s*") == (race, parse("s2 k* s*"))
    assert parse_text("s2 k* s*") == (None, parse("s2 k* s*"))


def test_a_text_that_does_not_say_of_whom_it_is_is_refused() -> None:
    with pytest.raises(ValueError, match="does not say of whom"):
        parse_text("kubelet and rule.sh: s2 k* s*")


def test_a_race_is_of_the_same_programs_whatever_the_script_is_called() -> None:
    race = Race("kubelet", "rule.sh", "1a2b3c4d5e6f")
    assert race.is_of(Race("kubelet", "copy.sh", "1a2b3c4d5e6f"))
    assert not race.is_of(Race("kubelet", "rule.sh", "ffffffffffff"))
    assert not race.is_of(Race("docker", "rule.sh", "1a2b3c4d5e6f"))
    assert not Race("docker", "kubelet").is_of(Race("docker", "kubelet.sh", "1a2b3c4d5e6f"))


def test_preemptions_are_the_turns_cut_short() -> None:
    assert parse("k* s*").preemptions == 0
    assert parse("k3 s* k*").preemptions == 1
    assert parse("k3 s2 k* s*").preemptions == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "at least one turn"),
        ("k", "no turn"),
        ("k0", "no turn"),
        ("3k", "no turn"),
        ("k3s2", "no turn"),
        ("k3 k2", "in a row"),
        ("k* s1 k2", "already run"),
        ("k1000000000 s*", "more steps than anybody makes"),
        ("k1 s1 " * 501, "1002 turns are more than a schedule has"),
    ],
)
def test_what_is_no_schedule_is_refused(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(name)


@pytest.mark.parametrize(
    ("turns", "text"),
    [
        ([("k", 1), ("k", 1), ("s", 1)], "k2 s1"),
        ([("s", 1), ("s", None), ("k", 4)], "s* k4"),
        ([], "no step"),
    ],
)
def test_steps_that_are_no_whole_schedule_have_a_text(
    turns: list[tuple[str, int | None]], text: str
) -> None:
    assert so_far(turns) == text
