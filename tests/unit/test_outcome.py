from collections.abc import Callable

import pytest

from chainrace.race import outcome
from chainrace.race.outcome import (
    CANARY_LOST,
    HEALTHY,
    HINT_LOST,
    INIT_FAILED,
    RULES_LOST,
    judge,
)
from chainrace.race.trial import Seen
from tests.unit.conftest import reference_of

Build = Callable[..., Seen]
FAILED = 'I1 "Failed to initialize iptables rules; some functionality is missing." protocol="{}"'


def test_the_references_own_rules_are_healthy(seen: Build) -> None:
    assert judge(reference_of(seen()), seen().ending).name == HEALTHY


def test_kubelets_failure_is_init_failed_with_its_own_cause(
    seen: Build, sample: Callable[[str], str], clean_rules: dict[str, str]
) -> None:
    broken = seen(
        words={"ipv4": "failed", "ipv6": "initialised"},
        journal=tuple(sample("kubelet-failed.log").splitlines()),
        after=clean_rules,
    )
    judged = judge(reference_of(seen()), broken.ending)
    assert judged.name == INIT_FAILED
    assert judged.signature
    assert "Chain 'KUBE-FIREWALL' does not exist" in judged.families["ipv4"].cause
    # The sample's IPv6 rules are those of before kubelet's start.
    assert judged.families["ipv6"].classes == (HINT_LOST, CANARY_LOST)
    assert judged.detected_by is None


def test_each_familys_failure_has_its_own_cause(sample: Callable[[str], str]) -> None:
    ipv4 = sample("kubelet-failed.log").splitlines()
    ipv6 = [
        'E1 kubelet_network_linux.go:80] "Failed to ensure that hint chain exists" err="x"',
        FAILED.format("IPv6"),
    ]
    causes = outcome.failure_causes((*ipv6, *ipv4))
    assert "hint chain" in causes["ipv6"]
    assert "KUBE-FIREWALL' does not exist" in causes["ipv4"]


def test_an_old_kubelets_cause_goes_on_in_the_lines_below_it() -> None:
    header = "E1121 20:10:10.370003    1068 kubelet_network_linux.go:83] "
    causes = outcome.failure_causes(
        (
            header + "Failed to ensure rule: exit status 1: Ignoring deprecated option.",
            "iptables: No chain/target/match by that name.",
            "I1121 20:10:10.380003    1068 server.go:417] something else",
            "of several lines",
            header + "Failed to initialize IPv4 iptables rules; some functionality may be missing.",
        )
    )
    assert causes["ipv4"].endswith(
        "deprecated option. iptables: No chain/target/match by that name."
    )


def test_another_cause_does_not_bear_the_outages_signature(seen: Build) -> None:
    journal = (
        'E1 kubelet_network_linux.go:80] "Failed to ensure that x" err="no permission"',
        FAILED.format("IPv4"),
    )
    broken = seen(words={"ipv4": "failed", "ipv6": "initialised"}, journal=journal)
    judged = judge(reference_of(seen()), broken.ending)
    assert judged.name == INIT_FAILED
    assert not judged.signature


def test_a_family_that_kubelet_drops_without_a_word_is_not_healthy(seen: Build) -> None:
    judged = judge(
        reference_of(seen()),
        seen(words={"ipv6": "initialised"}).ending,
    )
    assert judged.families["ipv4"].outcome == INIT_FAILED
    assert "without a word" in judged.families["ipv4"].cause


@pytest.mark.parametrize(
    ("line", "name", "detected"),
    [
        ("-A INPUT -j KUBE-FIREWALL", RULES_LOST, "mangle :KUBE-IPTABLES-HINT"),
        (":KUBE-KUBELET-CANARY - [0:0]", CANARY_LOST, "mangle :KUBE-IPTABLES-HINT"),
        (":KUBE-IPTABLES-HINT - [0:0]", HINT_LOST, "mangle :KUBE-KUBELET-CANARY"),
    ],
)
def test_each_thing_that_is_lost_though_kubelet_says_initialised_is_seen(
    seen: Build, reference_rules: dict[str, str], line: str, name: str, detected: str
) -> None:
    assert line in reference_rules["ipv4"]
    after = {**reference_rules, "ipv4": reference_rules["ipv4"].replace(line + "\n", "", 1)}
    judged = judge(reference_of(seen()), seen(after=after).ending)
    assert judged.name == name
    assert len(judged.families["ipv4"].missing) == 1
    assert judged.detected_by == detected


def test_several_classes_can_hold_at_once(seen: Build, clean_rules: dict[str, str]) -> None:
    lost = seen(after=clean_rules).ending
    judged = judge(reference_of(seen()), lost)
    assert judged.families["ipv4"].classes == (RULES_LOST, HINT_LOST, CANARY_LOST)
    assert judged.name == RULES_LOST


def test_a_start_that_failed_is_no_reference(seen: Build) -> None:
    with pytest.raises(ValueError, match="did not initialise ipv4"):
        reference_of(seen(words={"ipv4": "failed", "ipv6": "initialised"}))


def test_a_start_that_added_nothing_is_no_reference(
    seen: Build, clean_rules: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match="added no ipv4 rules"):
        reference_of(seen(after=clean_rules))
