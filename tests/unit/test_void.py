"""What counts nowhere, though the trial came to its end."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from chainrace.judge import outcome
from chainrace.judge.verdict import FIXED, ORIGINAL
from chainrace.model.trial import Command, Seen
from chainrace.randomized.void import why_void
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET
from tests.unit.conftest import command, reference_of

Build = Callable[..., Seen]
HINT = command("kubelet", "iptables -N KUBE-IPTABLES-HINT -t mangle", 0.1)


def why(build: Build, script: str, seen: Seen) -> str:
    reference = reference_of(build())
    return why_void(script, (HINT,), seen, outcome.judge(KUBELET, reference, seen.ending))


@pytest.mark.parametrize("script", [ORIGINAL, FIXED])
def test_a_trial_of_which_all_was_seen_counts(seen: Build, script: str) -> None:
    assert why(seen, script, seen(commands=(HINT,))) == ""


@pytest.mark.parametrize("script", [ORIGINAL, FIXED])
@pytest.mark.parametrize("code", [1, 127, None])
def test_a_script_that_failed_left_nothing_to_be_healthy_after(
    seen: Build, script: str, code: int | None
) -> None:
    failed = replace(seen(commands=(HINT,)), script_code=code)
    assert f"the {script} script itself failed with code {code}" in why(seen, script, failed)


def test_a_script_that_is_to_end_with_another_code_counts_with_that_alone(seen: Build) -> None:
    judged = outcome.judge(KUBELET, reference_of(seen()), seen().ending)
    for code, void in ((2, False), (0, True)):
        ended = replace(seen(commands=(HINT,)), script_code=code)
        assert bool(why_void(FIXED, (HINT,), ended, judged, expect=2)) == void


def test_a_fix_that_harmed_kubelet_counts_whatever_its_code(
    seen: Build, clean_rules: dict[str, str]
) -> None:
    harmed = replace(seen(commands=(HINT,), after=clean_rules), script_code=1)
    assert why(seen, FIXED, harmed) == ""
    assert "original script itself failed" in why(seen, ORIGINAL, harmed)


LOCKED = replace(HINT, code=4, started=1.0, ended=6.0)


@pytest.mark.parametrize(
    ("script", "others", "void"),
    [
        (ORIGINAL, (), True),
        (ORIGINAL, (command("script", "iptables-save", 0.2),), True),
        (ORIGINAL, (command("service stop", "iptables -F", 2.0),), False),
        (FIXED, (), True),
        (FIXED, (command("script", "iptables-restore -w", 2.0),), False),
    ],
)
def test_a_lock_that_nobody_of_ours_holds_is_not_the_bug(
    seen: Build,
    clean_rules: dict[str, str],
    script: str,
    others: tuple[Command, ...],
    void: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    words = {"ipv4": "failed", "ipv6": "initialised"}
    broken = seen(words=words, commands=(LOCKED, *others), after=clean_rules)
    assert ("held the lock" in why(seen, script, broken)) == void


@pytest.mark.parametrize("script", [ORIGINAL, FIXED])
@pytest.mark.parametrize("ended", [1.5, None])
def test_a_lock_that_a_script_may_hold_by_other_means_is_its_own(
    seen: Build, clean_rules: dict[str, str], script: str, ended: float | None
) -> None:
    """flock(1), say: no iptables process of the script's is there to be seen."""
    words = {"ipv4": "failed", "ipv6": "initialised"}
    broken = seen(words=words, commands=(LOCKED,), after=clean_rules)
    assert why(seen, script, replace(broken, script_ended=ended)) == ""


def test_a_healthy_kubelet_whose_steps_were_not_seen_speaks_for_no_fix(seen: Build) -> None:
    assert "was not seen to run iptables -N KUBE-IPTABLES-HINT" in why(seen, FIXED, seen())
    assert why(seen, ORIGINAL, seen()) == ""
