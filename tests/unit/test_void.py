"""What counts nowhere, though the trial came to its end."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from chainrace.race import outcome
from chainrace.race.trial import Seen
from chainrace.race.verdict import FIXED, ORIGINAL
from chainrace.race.void import why_void
from tests.unit.conftest import command

Build = Callable[..., Seen]
HINT = command("kubelet", "iptables -N KUBE-IPTABLES-HINT -t mangle", 0.1)
LOCK = (
    'E1 kubelet_network_linux.go:80] "Failed to ensure that filter table exists" err=<',
    "\terror creating chain: exit status 4: Another app is currently holding the xtables lock.",
    " >",
    'I1 "Failed to initialize iptables rules; some functionality is missing." protocol="IPv4"',
)


def why(build: Build, script: str, seen: Seen) -> str:
    reference = outcome.reference_rules(build().before, build().ending)
    return why_void(script, (HINT,), seen, outcome.judge(reference, seen.ending))


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


def test_an_original_that_harmed_kubelet_has_done_so_whatever_its_code(
    seen: Build, clean_rules: dict[str, str]
) -> None:
    harmed = replace(seen(commands=(HINT,), after=clean_rules), script_code=1)
    assert why(seen, ORIGINAL, harmed) == ""


def test_a_lock_that_never_came_free_is_not_the_bug(
    seen: Build, clean_rules: dict[str, str]
) -> None:
    words = {"ipv4": "failed", "ipv6": "initialised"}
    broken = seen(words=words, journal=LOCK, commands=(HINT,), after=clean_rules)
    assert "held the lock" in why(seen, ORIGINAL, broken)


def test_a_healthy_kubelet_whose_steps_were_not_seen_proves_nothing(seen: Build) -> None:
    assert "was not seen to run iptables -N KUBE-IPTABLES-HINT" in why(seen, FIXED, seen())
