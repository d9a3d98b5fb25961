"""A line on each part of the outage, from verdict.json: what terminal, page and JUnit show."""

from chainrace.base.text import told
from chainrace.judge.exposure import Found
from chainrace.model.backends import NFT
from chainrace.model.mode import HEALTHY
from chainrace.report.verdict import Document, arms


def lines(document: Document) -> dict[str, str]:
    """By part of the system what the run says of it, of the parts that it looked at."""
    found = {
        "image": _image(document),
        "kubelet, randomized trials": _trials(document),
        "kubelet, exhaustive exploration": _exploration(document),
        "kubelet's Monitor": _monitor(document),
        "azure-npm": _azure_npm(document),
        "reboot": _reboot(document),
        "cluster": _cluster(document),
        "backends": _backends(document),
    }
    return {part: line for part, line in found.items() if line}


def _image(document: Document) -> str:
    """What an image of the user's own is; the lab's is known by its recipe."""
    return str(Found(**document["image"])) if document.get("image") else ""


def _trials(document: Document) -> str:
    said = [
        f"{arm.label}: harmed in {arm.figures['trials'] - arm.figures['outcomes'].get(HEALTHY, 0)} "
        f"of {arm.figures['trials']}"
        for arm in arms(document)
    ]
    return "; ".join(said)


def _exploration(document: Document) -> str:
    found = document["exploration"]
    return told(found["verdict"], found["reason"]) if found else ""


def _monitor(document: Document) -> str:
    """Whether it repairs what was found."""
    findings = (document["exploration"] or {"findings": []})["findings"]
    watched = [one["monitor"] for one in findings if one["monitor"]]
    if not watched:
        return ""
    healed = sum(one["healed"] for one in watched)
    return f"repairs {healed} of {len(watched)} failure modes at its next look"


def _azure_npm(document: Document) -> str:
    tried = [(arm.label, arm.figures["azure_npm"]) for arm in arms(document)]
    return "; ".join(
        f"{label}: did not start after {npm['failed']} of {npm['tried']}"
        for label, npm in tried
        if npm["tried"]
    )


def _cluster(document: Document) -> str:
    """What repairs azure-npm, and what does not."""
    repairs = (document.get("cluster") or {"repairs": []})["repairs"]
    return "; ".join(
        f"{one['action']}: azure-npm {'runs' if one['runs'] else 'does not run'}" for one in repairs
    )


def _reboot(document: Document) -> str:
    reboot = document["reboot"]
    if not reboot:
        return ""
    modes = sorted({name for family in reboot["kubelet"].values() for name in family})
    return (
        f"{reboot['reason']}; iptables.service is {reboot['service']}; "
        f"kubelet, started by the same boot: {', '.join(modes)}"
    )


def _backends(document: Document) -> str:
    """Which backend is in use, and the tables that there are in each."""
    node = document["node"]
    if "tables" not in node:
        return ""
    counts: dict[str, int] = {}
    for by_backend in node["tables"].values():
        for backend, tables in by_backend.items():
            counts[backend] = counts.get(backend, 0) + len(tables)
    there = ", ".join(f"{count} tables in {backend}" for backend, count in counts.items())
    return f"{node.get('backend', NFT)} is in use; {there}"
