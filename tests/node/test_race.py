"""The race itself: the bug is there, the fix holds, and the suite can tell."""

from chainrace.judge.verdict import CONFIRMED, FIXED, ORIGINAL, REFUTED
from chainrace.model.mode import HEALTHY, INIT_FAILED
from chainrace.run.trials import SCRIPTS_ON_NODE
from chainrace.subjects.kubelet.guarantees import SIGNATURE
from tests.node.fixtures import Race, Racer


def test_the_original_breaks_kubelets_start_with_the_outages_own_message(race: Race) -> None:
    broken = [one for one in race.trials if one.outcome == INIT_FAILED and one.signature]
    assert broken
    assert {one.script for one in broken} == {ORIGINAL}
    # docs/dev/performance.md: over half of the original's trials in the window fail.
    assert race.verdict.original.rate.value > 0.5
    # Each backend has words of its own for it.
    assert SIGNATURE.search(broken[0].families["ipv4"].cause)


def test_the_fixed_script_never_harms_kubelet(race: Race) -> None:
    fixed = [one for one in race.trials if one.script == FIXED]
    assert fixed
    assert {one.outcome for one in fixed} == {HEALTHY}


def test_the_two_scripts_are_told_apart(race: Race) -> None:
    assert race.verdict.p < 0.01
    assert race.verdict.verdict == CONFIRMED


def test_every_trial_left_its_evidence(race: Race) -> None:
    for one in race.trials:
        folder = race.folder / "trials" / f"{one.number:04d}-{one.script}"
        for name in ("kubelet.log", "rules-before.ipv4", "rules-after.ipv6", "timeline.txt"):
            assert (folder / name).stat().st_size > 0
        assert (folder / "console.log").exists()


def test_the_verdict_names_what_it_judged(race: Race) -> None:
    node = race.document["node"]
    for name in ("kernel", "iptables", "systemd", "containerd", "kubelet", "image", "acceleration"):
        assert node[name]


def test_an_original_in_the_fixs_place_is_refuted(racer: Racer) -> None:
    swapped = racer(3, scripts={**SCRIPTS_ON_NODE, FIXED: SCRIPTS_ON_NODE[ORIGINAL]})
    assert swapped.verdict.verdict == REFUTED
