from collections.abc import Callable
from dataclasses import replace

import pytest

from chainrace.judge import outcome
from chainrace.judge.outcome import FamilyOutcome, judge
from chainrace.model.guarantee import Promised
from chainrace.model.mode import HEALTHY, INIT_FAILED, RULES_LOST
from chainrace.model.rules import sections
from chainrace.model.trial import Seen
from chainrace.subjects.kubelet.guarantees import failure_causes
from chainrace.subjects.kubelet.modes import CANARY_LOST, FAMILY_DROPPED, GUARD_OPEN, HINT_LOST
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET
from tests.unit.conftest import reference_of

Build = Callable[..., Seen]
FAILED = 'I1 "Failed to initialize iptables rules; some functionality is missing." protocol="{}"'


def test_the_references_own_rules_are_healthy(seen: Build) -> None:
    assert judge(KUBELET, reference_of(seen()), seen().ending).name == HEALTHY


def test_kubelets_failure_is_init_failed_with_its_own_cause(
    seen: Build, sample: Callable[[str], str], clean_rules: dict[str, str]
) -> None:
    broken = seen(
        words={"ipv4": "failed", "ipv6": "initialised"},
        journal=tuple(sample("kubelet-failed.log").splitlines()),
        after=clean_rules,
    )
    judged = judge(KUBELET, reference_of(seen()), broken.ending)
    assert judged.name == INIT_FAILED
    assert judged.signature
    assert "Chain 'KUBE-FIREWALL' does not exist" in judged.families["ipv4"].cause
    # The sample's IPv6 rules are those of before kubelet's start.
    assert judged.families["ipv6"].modes == (HINT_LOST, CANARY_LOST)
    assert judged.detected_by is None


def test_each_familys_failure_has_its_own_cause(sample: Callable[[str], str]) -> None:
    ipv4 = sample("kubelet-failed.log").splitlines()
    ipv6 = [
        'E1 kubelet_network_linux.go:80] "Failed to ensure that hint chain exists" err="x"',
        FAILED.format("IPv6"),
    ]
    causes = failure_causes((*ipv6, *ipv4))
    assert "hint chain" in causes["ipv6"]
    assert "KUBE-FIREWALL' does not exist" in causes["ipv4"]


def test_an_old_kubelets_cause_goes_on_in_the_lines_below_it() -> None:
    header = "E1121 20:10:10.370003    1068 kubelet_network_linux.go:83] "
    causes = failure_causes(
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
    judged = judge(KUBELET, reference_of(seen()), broken.ending)
    assert judged.name == INIT_FAILED
    assert not judged.signature


def test_a_family_that_kubelet_drops_without_a_word_is_not_healthy(seen: Build) -> None:
    judged = judge(
        KUBELET,
        reference_of(seen()),
        seen(words={"ipv6": "initialised"}).ending,
    )
    assert judged.families["ipv4"].modes == (FAMILY_DROPPED,)
    assert "without a word" in judged.families["ipv4"].cause


def test_a_neighbour_that_reaches_127_0_0_1_has_passed_the_guard(seen: Build) -> None:
    ending = replace(seen().ending, guard=(61321,))
    judged = judge(KUBELET, reference_of(seen()), ending)
    assert judged.families["ipv4"].modes == (GUARD_OPEN,)
    assert "port 61321" in judged.families["ipv4"].cause
    assert judged.families["ipv6"].modes == (HEALTHY,)
    assert judged.name == GUARD_OPEN


def test_but_not_where_it_does_after_a_clean_start_too(seen: Build) -> None:
    def reference(*guard: int) -> Promised:
        return replace(reference_of(seen()), left=replace(seen().ending, guard=guard))

    ending = replace(seen().ending, guard=(22, 61321))
    assert judge(KUBELET, reference(22, 61321), ending).name == HEALTHY
    assert judge(KUBELET, reference(22), ending).name == GUARD_OPEN


def test_an_open_guard_is_told_beside_what_else_is_lost_and_is_none_of_a_start_that_failed(
    seen: Build, clean_rules: dict[str, str]
) -> None:
    lost = replace(seen(after=clean_rules).ending, guard=(61321,))
    modes = judge(KUBELET, reference_of(seen()), lost).families["ipv4"].modes
    assert modes == (GUARD_OPEN, RULES_LOST, HINT_LOST, CANARY_LOST)
    failed = replace(lost, words={"ipv4": "failed", "ipv6": "initialised"})
    assert GUARD_OPEN not in judge(KUBELET, reference_of(seen()), failed).families["ipv4"].modes


def test_kubelet_notices_the_loss_of_mangles_canary_alone(
    seen: Build, reference_rules: dict[str, str]
) -> None:
    def judged(table: str) -> FamilyOutcome:
        kept = sections(reference_rules["ipv4"])
        lost = kept[table].replace(":KUBE-KUBELET-CANARY - [0:0]\n", "")
        assert lost != kept[table]
        after = {**reference_rules, "ipv4": "".join({**kept, table: lost}.values())}
        return judge(KUBELET, reference_of(seen()), seen(after=after).ending).families["ipv4"]

    assert judged("mangle").modes == judged("nat").modes == (CANARY_LOST,)
    assert judged("mangle").noticed
    assert not judged("nat").noticed


def test_an_outcome_of_no_known_name_is_refused() -> None:
    with pytest.raises(ValueError, match="banana"):
        FamilyOutcome(("banana",))


def test_the_gravest_of_several_gives_the_name() -> None:
    assert outcome.worst((HEALTHY, CANARY_LOST, GUARD_OPEN)) == GUARD_OPEN
    assert outcome.worst((FAMILY_DROPPED, INIT_FAILED)) == INIT_FAILED


def test_what_others_had_before_kubelet_is_none_of_its_promises(
    seen: Build, clean_rules: dict[str, str], reference_rules: dict[str, str]
) -> None:
    theirs = "-A INPUT -i lo -j ACCEPT\n"
    assert theirs in clean_rules["ipv4"]
    dropped = {**reference_rules, "ipv4": reference_rules["ipv4"].replace(theirs, "")}
    assert judge(KUBELET, reference_of(seen()), seen(after=dropped).ending).name == HEALTHY
