"""What the page says in its own words: failure modes, terms, and what a verdict covers.

docs/outcomes.md and docs/glossary.md say the same (tests/unit/test_words.py compares them).
"""

from chainrace.judge.explored import (
    HARMFUL,
    HARMLESS,
    NOT_EXERCISED,
    NOT_PROVED,
    UNFINISHED,
    ScriptVerdict,
)
from chainrace.judge.outcome import MODES, NOT_ASKED, WORST_FIRST
from chainrace.model.actors import KUBELET
from chainrace.report.verdict import Document, arms, explored_in, subject_of
from chainrace.subjects.known import known

# The terms that the page itself uses.
GLOSSARY: dict[str, str] = {
    "actor": "whose order is chosen: the subject, or the script with all that follows from it",
    "backend": "what iptables means: nft (nf_tables) or legacy (x_tables)",
    "canary": ("the chain KUBE-KUBELET-CANARY; kubelet's Monitor looks for mangle's once a minute"),
    "end state": "a state in which nothing that is left can change the outcome",
    "exhaustive exploration": (
        "every interleaving is executed on the node, or shown to equal one that was"
    ),
    "failure mode": f"what the subject lost: {', '.join(WORST_FIRST[:-1])}",
    "family": "IPv4 or IPv6",
    "finding": "a failure mode with its shortest schedule, replayed three times",
    "hint": "the chain KUBE-IPTABLES-HINT in mangle, by which programs tell the backend",
    "interleaving": "one order of all steps of all actors",
    "lane": (
        "one process line that can step: k kubelet IPv4, x kubelet IPv6, s, t, ... the script's, "
        "d, e, ... another subject's"
    ),
    "Monitor": "kubelet's loop that makes its rules again where mangle's canary is gone",
    "preemption": "an actor is stopped though it could go on",
    "randomized trial": "one race of a script against kubelet's start, at one start offset",
    "schedule": "the name of an interleaving: s2 k8 s* k*; in full kubelet beside "
    "rule.sh@1a2b3c4d5e6f: s2 k8 s* k*",
    "start offset": "seconds from kubelet's first iptables process to the script's start",
    "state": "every actor's history and next step, and all firewall state",
    "step": ("one process, from its start to its end; the first step of an actor is its own start"),
    "verdict": (
        "harmless, harmful, unfinished, not proved, not exercised; of a run: confirmed, refuted, "
        "not reproduced, inconclusive"
    ),
}

# What an exploration's verdict on a script covers.
SAID_OF: dict[ScriptVerdict, str] = {
    HARMLESS: (
        "Every order of whole processes is covered, of the subject's start and of all that follows "
        "from the script."
    ),
    HARMFUL: (
        "The schedules that are shown do harm, each time that they are replayed; other orders "
        "may do harm, too."
    ),
    UNFINISHED: "An order that was not executed yet may do harm.",
    NOT_PROVED: "Nothing is proved: something that the proof stands on does not hold.",
    NOT_EXERCISED: "Nothing is proved: the script was not exercised.",
}


def meaning(mode: str, subject: str) -> str:
    """What a failure mode means for whoever runs the subject; empty where it is none."""
    one = known(subject)
    found = (one and one.mode(mode)) or MODES.get(mode)
    return found.means.format(subject) if found else ""


def repaired(subject: str, *, healed: bool, looked: bool, seconds: float | None) -> str:
    """What a subject that was watched made of an end by itself.

    `looked`: it was seen to look at its rules. Earlier results do not say for how many seconds.
    """
    one = known(subject)
    if one is not None and one.notices:
        if healed:
            return "Monitor: repaired it at its next look"
        if looked:
            return "Monitor: looked, and did not repair it"
        return "Monitor: does not run for this family; nothing was repaired"
    within = "" if seconds is None else f" within {seconds:.0f} s"
    said = f"{subject}: {'repaired it' if healed else 'did not repair it'}{within}"
    if one is None or not one.repairs:
        return said
    return f"{said}; by its source it makes its rules again {one.repairs}"


def consumer(subject: str, found: str | None) -> str:
    """What becomes of a subject's consumer that finds an entry or none; empty without one."""
    one = known(subject)
    if one is None or one.consumer is None or found == NOT_ASKED:
        return ""
    what = f"finds {found}" if found else "finds no chain, and crashloops"
    return f"{one.consumer.name}: {what}"


def covered(document: Document) -> list[str]:
    """What a verdict covers, and what not: a sentence each (docs/explanation.md)."""
    explored = explored_in(document)
    said = [
        f"{name}: {SAID_OF[one['verdict']]}" if len(explored) > 1 else SAID_OF[one["verdict"]]
        for name, one in explored.items()
    ]
    if explored:
        said.append(
            "Not covered are what happens inside one process, and timers of programs and systemd."
        )
    if explored and (subject := subject_of(document)) != KUBELET:
        said.append(
            f"Of {subject} it was compared which chains and rules of iptables are there, and "
            "whether one that stood behind its own stands before it now; whether a packet passes, "
            "its check alone says."
        )
    if arms(document):
        said.append(
            "Randomized trials show that a script harms; that none did is no proof by itself."
        )
    return said
