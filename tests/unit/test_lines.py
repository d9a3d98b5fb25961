"""The lines of a verdict, a part of the system each."""

from typing import Any

from chainrace.report.lines import lines


def arm(trials: int, healthy: int, down: int) -> dict[str, Any]:
    outcomes = {"healthy": healthy, "init_failed": trials - healthy}
    return {"trials": trials, "outcomes": outcomes, "azure_npm": {"tried": trials, "failed": down}}


DOCUMENT: dict[str, Any] = {
    "kind": "run",
    "scenario": {"script": "mine.sh"},
    "scripts": {"original": arm(5, 1, 3), "fixed": arm(5, 5, 0)},
    "exploration": {
        "verdict": "harmful",
        "reason": "interleavings harm kubelet",
        "findings": [{"monitor": {"healed": True}}, {"monitor": {"healed": False}}],
    },
    "reboot": {
        "reason": "what it saved is back after a reboot (ipv4, ipv6)",
        "service": "active",
        "kubelet": {"ipv4": ["healthy"], "ipv6": ["healthy"]},
    },
    "node": {
        "backend": "nft",
        "tables": {"ipv4": {"nft": ["filter", "nat"], "legacy": []}, "ipv6": {"nft": ["filter"]}},
    },
}


def test_each_part_of_the_outage_has_its_line() -> None:
    assert lines(DOCUMENT) == {
        "kubelet, randomized trials": "original: harmed in 4 of 5; mine.sh: harmed in 0 of 5",
        "kubelet, exhaustive exploration": "harmful: interleavings harm kubelet",
        "kubelet's Monitor": "repairs 1 of 2 failure modes at its next look",
        "azure-npm": "original: did not start after 3 of 5; mine.sh: did not start after 0 of 5",
        "reboot": "what it saved is back after a reboot (ipv4, ipv6); iptables.service is active; "
        "kubelet, started by the same boot: healthy",
        "backends": "nft is in use; 3 tables in nft, 0 tables in legacy",
    }


def test_what_was_not_looked_at_has_none() -> None:
    nothing = arm(0, 0, 0)
    document = {
        **DOCUMENT,
        "scripts": {"original": nothing, "fixed": nothing},
        "exploration": None,
        "reboot": None,
        "node": {},
    }
    assert lines(document) == {}
