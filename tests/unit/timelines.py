"""A hand-made steps.json: the outage, with the flush between two of kubelet's steps."""

import json
from pathlib import Path
from typing import Any

from chainrace.report.timeline import NAME

GUARD = "ipv4 filter :KUBE-FIREWALL -"
JUMP = "ipv4 filter -A OUTPUT -j KUBE-FIREWALL"
SSH = "ipv4 filter -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT"


def step(lane: str, command: str, number: int, **changes: Any) -> dict[str, Any]:
    """One step, a tenth of a second after the one before."""
    actor = {"k": "kubelet", "x": "kubelet"}.get(lane, "script")
    plain = {
        "lane": lane,
        "actor": actor,
        "command": command,
        "code": 0,
        "begins": number / 10,
        "ends": number / 10 + 0.031,
        "added": [],
        "removed": [],
        "harms": False,
        "fails": False,
    }
    return {**plain, **changes}


COMMANDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("s", "script begins", {"ends": None, "code": None}),
    ("s", "iptables-save", {}),
    ("s", "ip6tables-save", {}),
    ("k", "kubelet begins", {}),
    ("k", "iptables --version", {}),
    ("k", "iptables -w 5 -N KUBE-FIREWALL -t filter", {"added": [GUARD]}),
    ("k", "iptables -w 5 -I OUTPUT -t filter -j KUBE-FIREWALL", {"added": [JUMP]}),
    ("s", "systemctl restart iptables", {"code": None, "ends": None}),
    (
        "s",
        "iptables -t filter -F",
        {"actor": "iptables.service", "removed": [JUMP, SSH], "harms": True},
    ),
    ("s", "iptables -t filter -X", {"actor": "iptables.service", "removed": [GUARD]}),
    ("s", "iptables-restore", {"actor": "iptables.service", "added": [SSH]}),
    ("k", "iptables -w 5 -C INPUT -t filter -j KUBE-FIREWALL", {"code": 2, "fails": True}),
    ("x", "ip6tables -w 5 -N KUBE-IPTABLES-HINT -t mangle", {}),
)
STEPS = [step(lane, command, at, **more) for at, (lane, command, more) in enumerate(COMMANDS)]
HARMS, FAILS = 8, 11


def keep(evidence: Path, steps: object = STEPS, **changes: object) -> Path:
    """Put steps into a folder of evidence; returns the file."""
    evidence.mkdir(parents=True, exist_ok=True)
    file = evidence / NAME
    file.write_text(json.dumps({"schema": 1, "steps": steps, **changes}))
    return file
