"""What systemd says of its jobs: who waits for whom."""

import pytest

from chainrace.gate import units

UNIT = "guard.service"
ORDER = "After=network.target iptables.service basic.target\nBefore=ufw.service shutdown.target\n"


def said(monkeypatch: pytest.MonkeyPatch, *jobs: str) -> None:
    def run(command: list[str]) -> str:
        if "list-jobs" in command:
            return "".join(f"{number} {line}\n" for number, line in enumerate(jobs, 117))
        assert command == ["systemctl", "show", "-p", "After", "-p", "Before", UNIT]
        return ORDER

    monkeypatch.setattr(units, "run", run)


def test_without_a_job_nothing_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    said(monkeypatch)
    assert units.held_back_by(UNIT) == []
    assert not units.is_behind(UNIT)


def test_a_unit_that_it_is_ordered_after_holds_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    said(monkeypatch, "iptables.service restart running", f"{UNIT} start waiting")
    assert units.held_back_by(UNIT) == ["iptables.service"]
    assert units.is_behind(UNIT)


@pytest.mark.parametrize(
    "jobs",
    [
        (f"{UNIT} start waiting",),
        (f"{UNIT} start waiting", "cron.service restart running"),
        (f"{UNIT} start running", "iptables.service restart waiting"),
    ],
)
def test_one_that_is_about_to_begin_or_has_begun_is_behind_nobody(
    monkeypatch: pytest.MonkeyPatch, jobs: tuple[str, ...]
) -> None:
    said(monkeypatch, *jobs)
    assert not units.is_behind(UNIT)


@pytest.mark.parametrize(("kind", "behind"), [("stop", True), ("restart", True), ("start", False)])
def test_a_stop_comes_before_a_start_whichever_unit_is_to_be_first(
    monkeypatch: pytest.MonkeyPatch, kind: str, *, behind: bool
) -> None:
    said(monkeypatch, f"ufw.service {kind} running", f"{UNIT} start waiting")
    assert units.is_behind(UNIT) is behind
