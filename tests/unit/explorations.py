"""Made-up explorations: one that harms, with its map, and all that the types allow."""

import math
from dataclasses import replace

from hypothesis import strategies as st

from chainrace.judge.explored import EndState, Explored, Finding, Graph, Healing
from chainrace.judge.outcome import WORST_FIRST, FamilyOutcome
from chainrace.judge.outcomemap import Cell, OutcomeMap
from chainrace.model.mode import HEALTHY, INIT_FAILED
from chainrace.model.schedule import Schedule, Turn
from chainrace.report.made_by import Kept, Origin
from chainrace.subjects.kubelet.modes import HINT_LOST
from tests.unit.test_explored import BROKEN, SOUND, finding

KUBELET = tuple(f"iptables -w 5 -N CHAIN-{number} -t mangle" for number in range(3))
SCRIPT = ("iptables-save", "iptables -L", "iptables -F", "iptables-restore")
ORIGIN = Origin(
    command=("./lab", "explore", "--prepare", "our prepare.sh"),
    version="0.1.0",
    commit="unknown",
    kubelet="1.34.4",
    backend="nft",
    prepare=b"#!/bin/sh\nsystemctl mask iptables\n",
    scripts={
        "fixed": Kept(b"#!/bin/sh\niptables-save\n"),
        "original": Kept(b"#!/bin/sh\niptables-save\niptables -F\n"),
    },
)


def _cell(before: int, stop: int, until: int) -> Cell:
    """The flush is the third step: what kubelet made since the save is lost."""
    turns = (("k", before), ("s", stop), ("k", until - before))
    schedule = " ".join([*(f"{actor}{steps}" for actor, steps in turns if steps), "s* k*"])
    harmed: tuple[str, ...] = (INIT_FAILED,) if until == 2 else (INIT_FAILED, HINT_LOST)
    lost = before == 0 and stop < 3 and until > before
    return Cell(before, stop, until, schedule, harmed if lost else (HEALTHY,))


MAP = OutcomeMap(
    KUBELET,
    SCRIPT,
    tuple(
        _cell(before, stop, until)
        for stop in (1, 2, 4)
        for before in range(len(KUBELET) + 1)
        for until in range(before, len(KUBELET) + 1)
    ),
)
HARMED = replace(
    BROKEN,
    graphs=(replace(BROKEN.graphs[0], map=MAP), *SOUND.graphs[1:]),
    findings=(finding("s1 k2 s* k*", INIT_FAILED, signature=True),),
)

# A name of a file, a rule, a node's word: anything that Python takes for a text.
TEXTS = st.text(st.characters(exclude_categories=()), max_size=40) | st.sampled_from(
    ["", "x" * 3000, "\ud800", "\x00", "../..", "<script>alert(1)</script>", "a\nb", "]]>"]
)
COUNTS = st.integers(0, 10**9)
CLASSES = st.lists(st.sampled_from(WORST_FIRST), min_size=1, max_size=9).map(tuple)
OUTCOMES = st.builds(FamilyOutcome, CLASSES, TEXTS, st.lists(TEXTS, max_size=3).map(tuple))
SCHEDULES = st.lists(
    st.builds(Turn, st.sampled_from("kxstu"), st.none() | st.integers(1, 10**6)), max_size=6
).map(lambda turns: Schedule(tuple(turns)))
FAMILY = st.sampled_from(["ipv4", "ipv6"])


@st.composite
def maps(draw: st.DrawFn) -> OutcomeMap:
    """Maps of any number of steps, of none too; their cells lie within them."""
    long = draw(st.sampled_from([0, 0, 65, 1001, 10_001]))
    kubelet = (*draw(st.lists(TEXTS, max_size=4)), *("iptables -N A",) * long)
    script = (*draw(st.lists(TEXTS, max_size=4)), *("iptables -F",) * long)
    until = st.integers(0, len(kubelet))
    cells = draw(
        st.lists(
            st.builds(
                lambda one, other, stop, schedule, modes: Cell(
                    min(one, other), stop, max(one, other), schedule, modes
                ),
                until,
                until,
                st.integers(0, len(script)),
                TEXTS,
                CLASSES,
            ),
            max_size=8,
        )
    )
    return OutcomeMap(kubelet, script, tuple(cells))


GRAPHS = st.builds(
    Graph,
    family=FAMILY,
    states=COUNTS,
    transitions=COUNTS,
    merges=COUNTS,
    executed=COUNTS,
    open=COUNTS,
    interleavings=st.integers(0, 10**600),
    orders=st.integers(0, 10**600) | st.just(math.comb(10_000, 400)),
    preemptions=st.none() | COUNTS,
    differing=COUNTS,
    counts=st.dictionaries(TEXTS, COUNTS, max_size=2),
    seconds=st.dictionaries(TEXTS, st.floats(), max_size=2),
    ends=st.lists(st.builds(EndState, TEXTS, SCHEDULES, OUTCOMES), max_size=3).map(tuple),
    map=maps(),
)
FINDINGS = st.builds(
    Finding,
    family=FAMILY,
    schedule=SCHEDULES,
    outcome=OUTCOMES,
    signature=st.booleans(),
    detected_by=st.none() | TEXTS,
    end_states=COUNTS,
    replays=st.integers(0, 3),
    same=st.integers(0, 3),
    healing=st.none() | st.builds(Healing, st.booleans(), st.floats(0, 1e6), OUTCOMES),
)
EXPLORED = st.builds(
    Explored,
    script=TEXTS | st.sampled_from(["original", "fixed", "boot"]),
    commands=COUNTS,
    remark=TEXTS,
    begun=st.booleans(),
    graphs=st.lists(GRAPHS, max_size=2).map(tuple),
    findings=st.lists(FINDINGS, max_size=3).map(tuple),
    doubts=st.lists(TEXTS, max_size=3).map(tuple),
    unexercised=TEXTS,
    alone=st.lists(TEXTS, max_size=2).map(tuple),
)
