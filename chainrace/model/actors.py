"""Whose a step is: the actors whose order is chosen, and the letters of their lanes."""

from __future__ import annotations

KUBELET, SCRIPT, OTHER = "kubelet", "script", "other"
SUBJECT = "subject"  # one that is not kubelet
SERVICE_STOP, SERVICE_START = "service stop", "service start"
# kubelet's lanes: its work on a family. It looks at exit codes alone.
KUBELETS = {"k": "ipv4", "x": "ipv6"}
# Each of these actors has one history; where several of its processes wait at once, each is a
# lane of its own. `d`: a subject that is not kubelet; `s`: the script, or the other program.
SUBJECT_ACTOR, SCRIPT_ACTOR = "d", "s"
SUBJECT_LANES, SCRIPT_LANES = "defghij", "stuvwyz"
LANES = {SUBJECT_ACTOR: SUBJECT_LANES, SCRIPT_ACTOR: SCRIPT_LANES}

ACTOR_OF = {family: actor for actor, family in KUBELETS.items()}
ACTORS = {
    "k": "kubelet",
    "x": "kubelet IPv6",
    **dict.fromkeys(SUBJECT_LANES, "another process of the subject's"),
    SUBJECT_ACTOR: "subject and what it starts",
    **dict.fromkeys(SCRIPT_LANES, "another process of the script's"),
    SCRIPT_ACTOR: "script and what it starts",
}
# Whose lanes stand in one history: kubelet's two stand apart.
HISTORIES = (*KUBELETS, *LANES)
# What is held or executed as one: kubelet's two lanes are.
GROUPS = {"k": tuple(KUBELETS), **{name: tuple(lanes) for name, lanes in LANES.items()}}

_OWNERS = {lane: name for name, lanes in LANES.items() for lane in lanes}


def owner(lane: str) -> str:
    """The lane in whose history a lane's steps stand: all of the script's are in one."""
    return lane if lane in KUBELETS else _OWNERS.get(lane, SCRIPT_ACTOR)


def group(lane: str) -> str:
    """The actor of a lane: kubelet's two lanes are one actor's."""
    return "k" if lane in KUBELETS else owner(lane)
