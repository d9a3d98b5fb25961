"""Whose a step is: the names and the letters of the actors whose order is chosen."""

from __future__ import annotations

KUBELET, SCRIPT, OTHER = "kubelet", "script", "other"
SERVICE_STOP, SERVICE_START = "service stop", "service start"
# The actors whose order is chosen, by letter: kubelet's work on a family, and all else.
KUBELETS = {"k": "ipv4", "x": "ipv6"}
SCRIPT_ACTOR = "s"

ACTOR_OF = {family: actor for actor, family in KUBELETS.items()}
# The script's own concurrency: each of its processes that wait at once is a lane.
SCRIPT_LANES = "stuvwyz"
ACTORS = {
    "k": "kubelet",
    "x": "kubelet IPv6",
    SCRIPT_ACTOR: "script and what it starts",
    **dict.fromkeys(SCRIPT_LANES[1:], "another process of the script's"),
}
# Whose lanes stand in one history: kubelet's two stand apart.
HISTORIES = (*KUBELETS, SCRIPT_ACTOR)


def owner(lane: str) -> str:
    """The lane in whose history a lane's steps stand: all of the script's are in one."""
    return lane if lane in KUBELETS else SCRIPT_ACTOR
