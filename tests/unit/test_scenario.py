"""Which scenarios a call means."""

from pathlib import Path

import pytest

from chainrace.base.errors import UsageError
from chainrace.base.paths import REPOSITORY
from chainrace.settings.amount import Amount
from chainrace.settings.config import ImageConfig, LabConfig, Scenario
from chainrace.settings.scenario import Changes, choose

CONFIG = LabConfig(
    scenario=[
        Scenario(name="outage"),
        Scenario(name="outage-legacy", backend="legacy", budget="10m"),
        Scenario(name="old-kubelet", kubelet="1.30.14", evidence=["exploration"], script="mine.sh"),
    ]
)


def names(*given: str, expression: str = "") -> list[str]:
    return [one.name for one in choose(CONFIG, given, expression)]


def test_without_a_name_all_of_them_run_in_their_order() -> None:
    assert names() == ["outage", "outage-legacy", "old-kubelet"]


def test_named_ones_run_once_each_as_named() -> None:
    assert names("old-kubelet", "outage", "outage") == ["old-kubelet", "outage"]


@pytest.mark.parametrize(
    ("expression", "taken"),
    [
        ("outage", ["outage", "outage-legacy"]),
        ("outage and not legacy", ["outage"]),
        ("KUBELET or legacy", ["outage-legacy", "old-kubelet"]),
    ],
)
def test_an_expression_takes_by_parts_of_names_as_pytest_does(
    expression: str, taken: list[str]
) -> None:
    assert names(expression=expression) == taken


def test_what_takes_nothing_is_told_with_what_there_is() -> None:
    for given, expression in ((["nowhere"], ""), ([], "nowhere"), ([], "and and")):
        with pytest.raises(UsageError, match=r"nowhere|and and") as caught:
            choose(CONFIG, given, expression)
        assert caught.value.exit_code == 2


def test_a_scenario_stands_for_the_other_parts_of_lab_toml_and_its_own_changes() -> None:
    outage, legacy, old = choose(CONFIG, [])
    assert (outage.config, outage.script, outage.budget) == (CONFIG, None, None)
    assert (legacy.config.backend, legacy.budget, legacy.label) == ("legacy", 600.0, "fixed")
    assert (old.config.kubelet.name, old.evidence) == ("1.30.14", ("exploration",))
    assert (old.script, old.label) == (REPOSITORY / "mine.sh", "mine.sh")


def test_a_call_that_says_nothing_sees_what_can_tell_the_scripts_apart() -> None:
    outage, legacy, _ = choose(CONFIG, [])
    assert outage.amount(None, None) == Amount(budget=300.0, least=5)
    assert legacy.amount(None, None) == Amount(budget=600.0)
    assert legacy.amount(3, None) == Amount(3, 600.0)
    assert outage.amount(3, 60.0) == Amount(3, 60.0)


def test_what_the_call_says_goes_before_the_file() -> None:
    own = ImageConfig(path="/my/image")
    changes = Changes(own, "legacy", "/my/kubelet", Path("/my/script"), ("reboot",))
    for one in choose(CONFIG, [], changes=changes):
        assert (one.config.image, one.config.backend) == (own, "legacy")
        assert one.config.kubelet.name == "/my/kubelet"
        assert (one.label, one.evidence) == ("script", ("reboot",))


def test_a_scenario_says_with_which_code_its_own_script_ends_here() -> None:
    config = LabConfig(scenario=[Scenario(name="ours", script="mine.sh", exit=2)])
    (ours,) = choose(config, [])
    assert ours.expect == 2
    (other,) = choose(config, [], changes=Changes(script=Path("/other.sh")))
    assert other.expect == 0
    (told,) = choose(config, [], changes=Changes(expect=3))
    assert told.expect == 3


def test_a_scenario_that_is_not_by_default_runs_only_when_it_is_named() -> None:
    assert [one.name for one in choose(LabConfig(), [])] == ["outage"]
    assert [one.name for one in choose(LabConfig(), ["cluster"])] == ["cluster"]
    assert [one.name for one in choose(LabConfig(), [], "cluster")] == ["cluster"]
    assert [one.name for one in choose(LabConfig(), [], every=True)] == ["outage", "cluster"]
    alone = LabConfig(scenario=[Scenario(name="ours", by_default=False)])
    with pytest.raises(UsageError, match="no scenario runs by default"):
        choose(alone, [])
