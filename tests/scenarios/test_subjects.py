"""Each subject that ships, raced with a script that harms it: found and replayed."""

import json
from pathlib import Path

import pytest

from chainrace.judge.explored import EXIT_OF, HARMFUL
from tests.scenarios.conftest import run_as_it_stands

pytestmark = pytest.mark.nightly

# A rule that is deleted by its number takes another one once the subject has put its own first.
BY_NUMBER = "iptables -I FORWARD 1 -p tcp --dport 80 -j ACCEPT\niptables -D FORWARD 1\n"
# What was saved before is loaded when the subject has made its chains.
SAVED = "iptables-save -t nat >/etc/iptables.nat\niptables-restore -T nat </etc/iptables.nat\n"


@pytest.mark.parametrize(
    ("subject", "text", "mode"),
    [
        ("docker", BY_NUMBER, "rules_lost"),
        ("cni-portmap", SAVED, "rules_lost"),
        ("fail2ban", SAVED.replace("-t nat ", "").replace("-T nat ", ""), "rules_lost"),
    ],
)
def test_a_script_that_harms_it_is_found_and_replayed(
    clone: Path, tmp_path: Path, subject: str, text: str, mode: str
) -> None:
    script = tmp_path / "script.sh"
    script.write_text(f"#!/bin/sh\n{text}")
    script.chmod(0o755)
    code, said = run_as_it_stands(
        f"./lab explore --subject {subject} --script {script} --first --budget 20m", clone
    )
    assert code == EXIT_OF[HARMFUL], said
    verdict = json.loads((clone / "results" / "latest" / "verdict.json").read_text())
    assert mode in verdict["scripts"][script.name]["shortest"]
    code, said = run_as_it_stands("./lab replay --from results/latest 1", clone)
    assert code == EXIT_OF[HARMFUL], said
