"""Whether the outage could happen on an image at all."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from chainrace.judge.explored import EXIT_OF
from chainrace.judge.exposure import Found, why_not_exposed
from chainrace.node.inspection import inspect
from chainrace.node.ssh import Connection
from chainrace.report import junit, page
from chainrace.report.results import Asked, ResultsFolder, judge_again, write_verdict
from chainrace.report.verdict import replay_of

ANSWER = """distribution=Microsoft Azure Linux 3.0
kernel=6.6.134.1-1.azl3
iptables=iptables v1.8.10 (nf_tables)
backend=nft
backend=legacy
service=enabled
kubelet=Kubernetes v1.34.4
containerd=containerd github.com/containerd/containerd 2.1.6
"""
AZURE_LINUX = Found(
    distribution="Microsoft Azure Linux 3.0",
    kernel="6.6.134.1-1.azl3",
    iptables="iptables v1.8.10 (nf_tables)",
    backends=("nft", "legacy"),
    service="enabled",
    kubelet="Kubernetes v1.34.4",
    containerd="containerd github.com/containerd/containerd 2.1.6",
)


def asked(answer: str) -> Found:
    node = SimpleNamespace(run=lambda *_, **__: None, succeed=lambda _: answer)
    return inspect(cast("Connection", node), timeout=1)


def test_an_image_says_what_it_is() -> None:
    assert asked(ANSWER) == AZURE_LINUX
    for word in ("Azure Linux 3.0", "nft and legacy backends", "service enabled", "v1.34.4"):
        assert word in str(AZURE_LINUX)


@pytest.mark.parametrize("said", ["", "not-found"])
def test_an_image_without_much_says_that(said: str) -> None:
    found = asked(f"distribution=x\nkernel=1\niptables=\nservice={said}\nlacks=nft\nlacks=ipset\n")
    assert found.service == "missing"
    assert found.lacks == ("nft", "ipset")
    assert "no iptables (no backend), iptables.service missing, no kubelet" in str(found)


@pytest.mark.parametrize("service", ["masked", "masked-runtime", "missing"])
def test_where_the_unit_cannot_be_restarted_nothing_can_be_flushed(service: str) -> None:
    assert why_not_exposed(replace(AZURE_LINUX, service=service))


@pytest.mark.parametrize("service", ["enabled", "disabled", "static"])
def test_a_restart_starts_a_unit_that_is_merely_disabled(service: str) -> None:
    assert not why_not_exposed(replace(AZURE_LINUX, service=service))


def test_a_run_on_an_image_that_is_not_exposed_says_so_and_is_no_failure(tmp_path: Path) -> None:
    folder = ResultsFolder(
        tmp_path, Asked(evidence=("exploration", "trials"), options=("--image", "a b"))
    )
    masked = replace(AZURE_LINUX, service="masked")
    folder.image(masked)
    folder.not_exposed(why_not_exposed(masked))
    verdict = judge_again(folder.path)
    assert verdict.verdict == "not exposed"
    assert "masked" in verdict.reason
    assert EXIT_OF[verdict.verdict] == 0
    write_verdict(folder.path, verdict, {"acceleration": "tcg"}, interrupted=False)
    document = json.loads((folder.path / "verdict.json").read_text())
    assert document["image"] == json.loads(json.dumps(asdict(AZURE_LINUX))) | {"service": "masked"}
    assert "iptables.service masked" in document["lines"]["image"]
    replay = "./lab replay 's* k*' --image 'a b' --backend nft"
    assert replay_of(document, folder.path, "original", "s* k*") == replay
    assert "iptables.service masked" in page.draw(folder.path)
    assert b"<failure" not in junit.render(document)


def test_a_script_of_ones_own_is_judged_by_its_evidence_where_the_unit_is_masked(
    tmp_path: Path,
) -> None:
    """It may flush rules by itself."""
    folder = ResultsFolder(tmp_path, Asked(script="mine.sh", evidence=("exploration",)))
    folder.image(replace(AZURE_LINUX, service="masked"))
    assert judge_again(folder.path).verdict == "unfinished"


def test_a_run_on_an_exposed_image_is_judged_by_its_evidence(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path, Asked(evidence=("trials",)))
    folder.image(AZURE_LINUX)
    assert judge_again(folder.path).verdict == "inconclusive"
