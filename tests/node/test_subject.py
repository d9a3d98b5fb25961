"""A subject of the user's own in kubelet's place: its unit is raced, judged and replayed."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from chainrace.base.errors import LabError
from chainrace.explore.options import Options
from chainrace.explore.preparation import brought
from chainrace.explore.scripts import unit_as_script
from chainrace.judge.explored import HARMFUL, HARMLESS
from chainrace.model.mode import CHECK_FAILED, RULES_LOST
from chainrace.model.subject import Subject
from chainrace.node.node import Node
from chainrace.settings.config import LabConfig, SubjectConfig
from chainrace.settings.subject import subject_of
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET
from tests.node.fixtures import Bring, Explore

pytestmark = pytest.mark.nightly

UNIT = "examples/subjects/node-guard.service"
BY_NUMBER = "iptables -I INPUT 1 -p tcp --dport 80 -j ACCEPT\niptables -D INPUT 1\n"
BY_WORDS = BY_NUMBER.replace("-D INPUT 1", "-D INPUT -p tcp --dport 80 -j ACCEPT")


def guard(check: str) -> Subject:
    config = LabConfig(subject=[SubjectConfig(name="node-guard", unit=UNIT, check=check)])
    return subject_of(config, "node-guard")


@pytest.fixture
def subject(lab_node: Node) -> Iterator[Subject]:
    """The example's unit on the node; its check says whether the jump is there."""
    found = guard(check="iptables -C INPUT -j NODE-GUARD")
    with brought([lab_node], found):
        yield found


def test_a_rule_that_is_deleted_by_number_takes_the_subjects_jump(
    subject: Subject, own_script: Bring, explore: Explore
) -> None:
    explored, replays = explore(replace(own_script(BY_NUMBER), subject=subject))
    assert explored.verdict == HARMFUL
    assert all(graph.complete for graph in explored.graphs)
    assert explored.shortest().keys() == {RULES_LOST, CHECK_FAILED}
    assert str(explored.shortest()[RULES_LOST].schedule) == "s2 d* s*"
    assert all(one.reproduced for one in explored.findings)
    assert replays[0].outcome.families["ipv4"].missing == ("filter -A INPUT -j NODE-GUARD",)
    assert "interleavings harm node-guard" in explored.reason


def test_one_that_is_deleted_by_its_words_does_no_harm(
    subject: Subject, own_script: Bring, explore: Explore
) -> None:
    explored, _ = explore(replace(own_script(BY_WORDS), subject=subject))
    assert explored.verdict == HARMLESS


def test_a_script_that_stops_it_takes_its_work(
    subject: Subject, own_script: Bring, explore: Explore
) -> None:
    """Once it has done, stopping it takes nothing; what has not begun yet is begun later."""
    text = "systemctl stop node-guard\niptables -F INPUT\n"
    explored, _ = explore(replace(own_script(text), subject=subject), Options(first=True))
    assert explored.verdict == HARMFUL


def test_beside_kubelet_it_is_judged_by_what_it_promises(lab_node: Node, explore: Explore) -> None:
    """kubelet takes nothing of its; that no chain of kubelet's is there it promises in vain."""
    for check, verdict in (("true", HARMLESS), ("! iptables -S KUBE-FIREWALL", HARMFUL)):
        found = guard(check)
        with brought([lab_node], found):
            explored, replays = explore(
                replace(unit_as_script(KUBELET), subject=found), Options(first=True)
            )
        assert explored.verdict == verdict, explored.reason
        assert explored.shortest().keys() == ({CHECK_FAILED} if replays else set())
        assert explored.race == "node-guard beside kubelet"


@pytest.mark.parametrize(
    ("unit", "why"),
    [("nobody.service", "no unit that systemd can load"), ("cron.service", None)],
)
def test_a_unit_of_which_nobody_knows_when_it_has_done_is_refused(
    lab_node: Node, unit: str, why: str | None
) -> None:
    there = lab_node.connection.run(f"systemctl cat {unit}").code == 0
    expected = why or ("systemd does not know" if there else "no unit that systemd can load")
    with (
        pytest.raises(LabError, match=expected),
        brought([lab_node], Subject("other", unit)),
    ):
        pass
