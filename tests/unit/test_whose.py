"""Whose a process is: by descent, by its unit, and by what was at rest before."""

from collections.abc import Mapping

import pytest

from chainrace.gate.procevents import Ended, Executed, Forked
from chainrace.gate.whose import LAB, NOBODY, SCRIPT, SUBJECT, Owners, busy_units, unit_of

KUBELET, OWN = "kubelet.service", "chainrace-script.service"
MAIN, AGENT = 100, 1


def owners(units: Mapping[int, str], busy: tuple[str, ...] = ("cron.service",)) -> Owners:
    found = Owners(KUBELET, {OWN: "s"}, lambda pid: units.get(pid, ""), set(busy), {AGENT})
    found.at_work.add("s")
    return found


def begun(units: Mapping[int, str] | None = None) -> Owners:
    """The script has begun, as process 100."""
    found = owners({MAIN: OWN, **(units or {})})
    assert found.of(MAIN) == SCRIPT
    return found


@pytest.mark.parametrize(
    ("unit", "whose"),
    [
        (KUBELET, SUBJECT),
        (OWN, SCRIPT),
        ("cron.service", NOBODY),
        ("iptables.service", SCRIPT),
        ("run-r5f2d.service", SCRIPT),
        ("session-3.scope", NOBODY),
        ("user@0.service", NOBODY),
        ("init.scope", NOBODY),
        ("-", NOBODY),
        ("", NOBODY),
    ],
)
def test_a_process_is_whose_its_unit_is(unit: str, whose: str) -> None:
    assert owners({7: unit}).of(7) == whose


def test_a_unit_that_comes_while_no_script_is_at_work_is_nobodys() -> None:
    found = owners({7: "logrotate.service"})
    found.at_work.clear()
    assert found.of(7) == NOBODY
    found.at_work.add("s")
    assert found.of(7) == SCRIPT


def test_a_child_is_its_parents_wherever_it_is_moved() -> None:
    found = begun({101: "cron.service", 102: "session-1.scope"})
    found.feed(Forked(MAIN, 101))
    found.feed(Forked(101, 102))
    assert found.of(101) == found.of(102) == SCRIPT


def test_a_child_outlives_its_parent_and_is_the_scripts_still() -> None:
    found = begun()
    found.feed(Forked(MAIN, 101))
    found.feed(Ended(MAIN, 0, 1.0))
    assert found.of(101) == SCRIPT
    assert found.script[101].parent == 1
    found.feed(Forked(101, 102))
    assert found.script.keys() == {101, 102}


def test_one_that_has_ended_is_gone_but_was_the_scripts() -> None:
    found = begun()
    found.feed(Forked(MAIN, 101))
    found.feed(Ended(101, 0, 1.0))
    assert found.script.keys() == {MAIN}
    assert found.script[MAIN].children == set()
    assert found.ever == {MAIN, 101}
    assert found.of(101) == NOBODY


def test_what_the_lab_starts_is_the_labs_and_a_number_that_is_used_again_is_not() -> None:
    found = owners({200: "-"})
    found.feed(Forked(AGENT, 200))
    assert found.of(200) == LAB
    found.feed(Ended(200, 0, 1.0))
    assert found.of(200) == NOBODY


def test_forks_of_strangers_and_executions_change_nothing() -> None:
    found = begun()
    found.feed(Forked(300, 301))
    found.feed(Executed(MAIN))
    assert found.script.keys() == {MAIN}


def test_processes_are_ordered_by_how_they_were_forked_not_by_number() -> None:
    found = begun()
    found.feed(Forked(MAIN, 900))
    found.feed(Forked(MAIN, 101))
    found.feed(Forked(900, 50))
    ordered = sorted(found.script.values(), key=lambda one: one.path)
    assert [one.pid for one in ordered] == [MAIN, 900, 50, 101]


def test_the_script_itself_comes_before_every_unit_that_it_starts() -> None:
    found = owners({7: "a.service", MAIN: OWN})
    for pid in (7, MAIN):
        found.of(pid)
    assert found.script[MAIN].path < found.script[7].path


def test_transient_units_are_ordered_by_when_they_came_for_their_names_are_chance() -> None:
    for names in (("run-rff.service", "run-raa.service"), ("run-raa.service", "run-rff.service")):
        found = owners({7: names[0], 8: names[1]})
        for pid in (7, 8):
            assert found.of(pid) == SCRIPT
        assert found.script[7].path < found.script[8].path


def test_a_unit_that_is_started_twice_has_two_roots() -> None:
    found = owners({7: "iptables.service", 8: "iptables.service"})
    found.of(7)
    found.feed(Ended(7, 0, 1.0))
    found.of(8)
    assert found.script[8].path == (1, "iptables.service", 2)


@pytest.mark.parametrize(
    ("unit", "label"),
    [
        (OWN, "script"),
        ("iptables.service", "iptables"),
        ("run-r5f2d.service", "transient unit"),
        ("run-u31.service", "transient unit"),
        ("session-1.scope", "session-1.scope"),
    ],
)
def test_a_label_is_the_same_on_each_walk(unit: str, label: str) -> None:
    assert owners({7: unit}).label(7) == label


def test_the_unit_of_what_is_gone_is_none() -> None:
    assert unit_of(2**22 + 1) == ""
    assert "" not in busy_units()
