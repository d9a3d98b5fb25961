"""Scripts whose true verdict is known, explored on the light node.

First those of tests/cases (INDEX.tsv says why each is what it is), then others of the same
kinds, written here: the numbers are those of the holes in issue 18, and each says why its verdict
is the true one. kubelet's steps are tests/light/subject.sh's: k1 its start, k2 and k3 its look-ups,
k4 the hint, k5 the chain KUBE-FIREWALL, k6 to k9 its jumps from OUTPUT and INPUT, k10 and k11 its
rule, then a canary in mangle, nat and filter.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import pytest

from chainrace.explore import exploration
from tests.light.node import LightNode

CASES = Path(__file__).parents[1] / "cases"
# A harm that was found so far counts, whatever is still open then.
BUDGET = 60.0
LIMIT_ALONE = 8.0
ELSEWHERE = {
    "systemctl": "systemd is not on the light node",
    "systemd-run": "systemd is not on the light node",
    "update-alternatives": "it would change this machine itself",
    "ip netns exec": "it makes a mount namespace, which the light node's marks are not in",
}
WORDS = {
    "harm": ("harmful",),
    "dep": ("harmful",),  # where the expectation says `harmed with nft`
    "safe": ("harmless",),
    "env": ("not exercised",),
}
# Where another verdict is true, and why.
NOT_PROVED = {
    "harm-by-library": "python changes rules by itself: it is held as a whole, which the witness "
    "says; and what it does in one step shows no harm",
    "harm-fails-in-lab": "it ends with 127: what it does after that is not known",
}


@dataclass(frozen=True)
class Case:
    """A script of tests/cases, and which words are true of it."""

    text: str
    words: tuple[str, ...]
    elsewhere: str


def _case(name: str, expectation: str) -> Case:
    text = (CASES / f"{name}.sh").read_text()
    code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    elsewhere = next((why for word, why in ELSEWHERE.items() if word in code), "")
    words = WORDS[name.partition("-")[0]]
    if "safe with nft" in expectation:
        words = WORDS["safe"]
    if name in NOT_PROVED:
        words = ("not proved",)
    return Case(text, words, elsewhere)


def _cases() -> dict[str, Case]:
    with (CASES / "INDEX.tsv").open() as file:
        return {
            row["name"]: _case(row["name"], row["expectation"])
            for row in csv.DictReader(file, delimiter="\t")
        }


KNOWN = _cases()


def test_each_case_has_its_line() -> None:
    assert KNOWN.keys() == {path.stem for path in CASES.glob("*.sh")}


@pytest.mark.parametrize("name", KNOWN)
def test_case(name: str, node: LightNode, monkeypatch: pytest.MonkeyPatch) -> None:
    case = KNOWN[name]
    if case.elsewhere:
        pytest.skip(case.elsewhere)
    if name.startswith("env-"):
        monkeypatch.setattr(exploration, "ALONE_SECONDS", LIMIT_ALONE)
    found = node.explore(case.text, budget=BUDGET)
    assert found.verdict in case.words, found.reason


@dataclass(frozen=True)
class Own:
    """A script, the one verdict that is true of it, and ends that there must be."""

    verdict: str
    text: str
    ends: tuple[str, ...] = ()


OWN = {
    # 1. It has no process of iptables before its look: k* s* sees kubelet run, and -X takes the
    # hint and mangle's canary, to which no rule leads.
    "1-asks-for-the-process": Own(
        "harmful",
        """#!/bin/sh
if pgrep -P "$PPID" -f subject.sh >/dev/null; then
	iptables -t mangle -X
fi
exit 0
""",
        ("hint_lost", "canary_lost", "healthy"),
    ),
    # 1. The same, by the shell alone: the look belongs to the script's very first step.
    "1-looks-without-a-process": Own(
        "harmful",
        """#!/bin/sh
read -r children </proc/$PPID/task/$PPID/children
set -- $children
[ $# -gt 1 ] && iptables -t mangle -X
exit 0
""",
        ("hint_lost", "healthy"),
    ),
    # 1. The same by a test alone, whose path stands nowhere in the text: the answer is known.
    "1-tests-for-a-file": Own(
        "harmful",
        """#!/bin/sh
where=/run
iptables -A FORWARD -s 192.0.2.7 -j DROP
[ -e "$where/subject.log" ] && iptables -t mangle -X
exit 0
""",
        ("hint_lost", "healthy"),
    ),
    # 1. It looks at what kubelet has done, and whatever it sees, it does no harm.
    "1-tests-for-a-file-and-only-reads": Own(
        "harmless",
        """#!/bin/sh
iptables -A FORWARD -s 192.0.2.7 -j DROP
[ -e /run/subject.log ] && iptables -t mangle -S >/dev/null
exit 0
""",
    ),
    # 1. What kubelet and the rules do not change is no look at them: it is not even explored so.
    "1-sets-what-is-the-kernels": Own(
        "harmless",
        """#!/bin/sh
[ -d /run/systemd/system ] || [ -e /proc/sys/net/ipv4 ] || exit 1
echo 0 >/proc/sys/net/ipv4/ip_forward
iptables -A FORWARD -s 192.0.2.7 -j DROP
exit 0
""",
    ),
    # 1. python looks for a process of kubelet's that waits, without a process of its own, between
    # two of its children: where kubelet is about to make a canary, mangle's chains go.
    "1-python-looks-between-its-children": Own(
        "harmful",
        """#!/bin/sh
cat >/run/looks.py <<'END'
import glob, subprocess

def at(word):
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            words = open(path, "rb").read().split(b"\\0")
        except OSError:
            continue
        if b"-N" in words and word in words:
            return True
    return False

subprocess.run(["iptables", "-A", "FORWARD", "-s", "192.0.2.7", "-j", "DROP"])
if at(b"KUBE-KUBELET-CANARY"):
    subprocess.run(["iptables", "-t", "mangle", "-X"])
END
python3 /run/looks.py
exit 0
""",
        ("hint_lost", "healthy"),
    ),
    # 1. python that looks at nothing.
    "1-python-and-its-children": Own(
        "harmless",
        """#!/usr/bin/env python3
import subprocess
subprocess.run(["iptables", "-A", "FORWARD", "-s", "192.0.2.7", "-j", "DROP"])
subprocess.run(["iptables", "-N", "NODE-READY"])
""",
    ),
    # 3. If the second job looks before the first has made its chain, -X takes nat's canary.
    "3-two-jobs": Own(
        "harmful",
        """#!/bin/sh
iptables -t nat -N NODE-READY &
{ iptables -t nat -S NODE-READY >/dev/null 2>&1 || iptables -t nat -X; } &
wait
exit 0
""",
        ("canary_lost", "healthy"),
    ),
    # 3. Two jobs that make chains of their own: whichever comes first, kubelet's are not touched.
    "3-two-jobs-apart": Own(
        "harmless",
        """#!/bin/sh
iptables -N NODE-A &
iptables -N NODE-B &
wait
exit 0
""",
    ),
    # 5. `-V` is the comment's text: a rule is inserted. Behind kubelet's jump (k9 s1) it lies above
    # it, and a neighbour reaches port 8080 of 127.0.0.1. Before k9 it comes to lie below.
    "5-comment-that-is-no-version": Own(
        "harmful",
        """#!/bin/sh
iptables -I INPUT -p tcp --dport 8080 -m comment --comment -V -j ACCEPT
""",
        ("guard_open", "healthy"),
    ),
    # 5. A list by nft, in the middle of kubelet's work: where mangle's canary is, the hint was
    # made before, is deleted, and nobody makes it again.
    "5-nft-lists-and-deletes": Own(
        "harmful",
        """#!/bin/sh
nft list chain ip mangle KUBE-KUBELET-CANARY >/dev/null 2>&1 &&
	nft delete chain ip mangle KUBE-IPTABLES-HINT
exit 0
""",
        ("hint_lost", "healthy"),
    ),
    # 5 and 7. What it saw is in a file; one more command comes between; then it acts on it.
    "7-acts-two-commands-later": Own(
        "harmful",
        """#!/bin/sh
iptables -t mangle -S >/run/seen 2>/dev/null
iptables -t raw -S >/dev/null 2>&1
grep -q KUBE-IPTABLES-HINT /run/seen && iptables -t mangle -X
exit 0
""",
        ("hint_lost", "healthy"),
    ),
    # 7. The same look, but what it does then makes a chain of its own alone.
    "7-acts-on-its-own": Own(
        "harmless",
        """#!/bin/sh
iptables -t mangle -nL KUBE-IPTABLES-HINT >/dev/null 2>&1
seen=$?
iptables -t raw -S >/dev/null 2>&1
[ $seen = 0 ] && iptables -N NODE-READY
exit 0
""",
    ),
    # 6. It looks at IPv4 and acts on IPv6: k* x4 s* deletes IPv6's hint.
    "6-looks-at-the-other-family": Own(
        "harmful",
        """#!/bin/sh
iptables -t mangle -S KUBE-KUBELET-CANARY >/dev/null 2>&1 && ip6tables -t mangle -X
exit 0
""",
        ("hint_lost", "canary_lost", "healthy"),
    ),
    # 6. IPv4's mangle, saved when it has the hint and no canary yet, is loaded into IPv6 when
    # that has its canary: it is lost.
    "6-loads-into-the-other-family": Own(
        "harmful",
        """#!/bin/sh
iptables-save -t mangle >/run/mangle
ip6tables-restore </run/mangle
exit 0
""",
        ("canary_lost", "healthy"),
    ),
    # 6. The same, tried only.
    "6-tries-the-other-family": Own(
        "harmless",
        """#!/bin/sh
iptables-save -t mangle >/run/mangle
ip6tables-restore --test </run/mangle
exit 0
""",
    ),
    # 11. No text of kubelet's is missing, and yet what stands above its jump lets all in.
    "11-accepts-at-the-top": Own(
        "harmful", "#!/bin/sh\niptables -I INPUT -j ACCEPT\n", ("guard_open", "healthy")
    ),
    # 11. What is appended stands below kubelet's jump, which is inserted at the top.
    "11-accepts-at-the-bottom": Own(
        "harmless", "#!/bin/sh\niptables -A INPUT -p tcp --dport 8080 -j ACCEPT\n"
    ),
    # 11. kubelet's jump goes to the end of INPUT, behind what accepts port 22: the same set of
    # lines, and 127.0.0.1:22 is open.
    "11-moves-the-jump": Own(
        "harmful",
        """#!/bin/sh
iptables -D INPUT -j KUBE-FIREWALL && iptables -A INPUT -j KUBE-FIREWALL
exit 0
""",
        ("guard_open", "healthy"),
    ),
    # 14a. It drops what is the host's own, in every order: no harm of kubelet's.
    "14-drops-the-hosts-own": Own(
        "harmless",
        """#!/bin/sh
iptables -D INPUT -p tcp -m tcp --dport 22 -j ACCEPT
iptables -P OUTPUT ACCEPT
ip6tables -F INPUT
exit 0
""",
    ),
    # 14a. Behind k9 it takes kubelet's jumps as well; in s* k* it takes the host's own alone.
    "14-drops-both": Own(
        "harmful",
        "#!/bin/sh\niptables -F INPUT\niptables -F OUTPUT\n",
        ("rules_lost", "healthy"),
    ),
}


@pytest.mark.parametrize("name", OWN)
def test_own_script(name: str, node: LightNode) -> None:
    own = OWN[name]
    found = node.explore(own.text, budget=BUDGET)
    assert found.verdict == own.verdict, found.reason
    assert set(own.ends) <= found.modes


# 8. With nothing left out, in one family: the same ends, and no state that is none.
WHOLE = """#!/bin/sh
iptables -t mangle -S KUBE-KUBELET-CANARY >/dev/null 2>&1 && iptables -t nat -X
exit 0
"""


def test_nothing_left_out_has_the_same_ends(node: LightNode) -> None:
    reduced = node.explore(WHOLE, families=("ipv4",))
    whole = node.explore(WHOLE, families=("ipv4",), reduced=False)
    assert reduced.complete
    assert whole.complete
    for families, end in whole.endings():
        assert not reduced.lacks(end, families)
    for families, end in reduced.endings():
        assert not whole.lacks(end, families)
    assert whole.modes == reduced.modes
    assert whole.transitions > reduced.transitions
