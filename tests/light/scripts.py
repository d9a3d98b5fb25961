"""Random small shell scripts of the kinds that harm kubelet, or do not: hypothesis strategies.

Each is lines of sh that change, look at, save and load firewall rules, beside a kubelet: what a
human might have written into a provisioning script, put together by chance. A script can change
nothing outside the namespaces that it runs in.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

PROGRAMS = ("iptables", "ip6tables")
LEGACY = ("iptables-legacy", "ip6tables-legacy")
TABLES = ("mangle", "filter", "nat")
HINT, CANARY, GUARD = "KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY", "KUBE-FIREWALL"
MINE, MINE_TOO = "MINE", "MINE-TOO"
# What is there to be looked at, emptied or deleted: by table, built-in chains last.
CHAINS = {
    "mangle": (HINT, CANARY, MINE, "OUTPUT"),
    "filter": (GUARD, CANARY, MINE, "INPUT", "OUTPUT"),
    "nat": (CANARY, MINE, "OUTPUT"),
}
RULES = (
    "-j ACCEPT",
    "-p tcp --dport 80 -j ACCEPT",
    f"-j {GUARD}",
    "-i lo -j ACCEPT",
    "-m comment --comment -V -j RETURN",
    f"-j {MINE}",
)
FILES = ("/run/seen", "/tmp/seen.rules")
FAMILY_OF = {"iptables": "ip", "ip6tables": "ip6"}
SHELLS = ("/bin/sh", "/bin/bash")
MOST_LINES = 5


@dataclass(frozen=True)
class Look:
    """A command that says yes or no: by its exit code alone, or by what it prints."""

    command: str


def _program() -> st.SearchStrategy[str]:
    # IPv4 more often: of kubelet's steps most are there.
    return st.sampled_from((*PROGRAMS, PROGRAMS[0]))


@st.composite
def _place(draw: st.DrawFn) -> tuple[str, str, str]:
    """A program, a table of it, and a chain there."""
    table = draw(st.sampled_from(TABLES))
    return draw(_program()), table, draw(st.sampled_from(CHAINS[table]))


@st.composite
def _one_change(draw: st.DrawFn) -> str:
    """One command of iptables that may change something."""
    program, table, chain = draw(_place())
    base = chain if chain in ("INPUT", "OUTPUT") else "OUTPUT"
    rule = draw(st.sampled_from(RULES))
    words = draw(
        st.sampled_from(
            (
                "-F",
                "-X",
                f"-F {chain}",
                f"-X {chain}",
                f"-N {chain}",
                f"-E {chain} {MINE_TOO}",
                "-Z",
                f"-P {base} ACCEPT",
                f"-P {base} DROP",
                f"-I {base} {rule}",
                f"-I {base} 1 {rule}",
                f"-A {base} {rule}",
                f"-D {base} {rule}",
                f"-D {base} 1",
                f"-D {base} 2",
                f"-R {base} 1 {rule}",
            )
        )
    )
    return f"{program} -t {table} {words}"


@st.composite
def _native(draw: st.DrawFn) -> str:
    """One command of nft, in iptables' tables or in one of its own."""
    program, table, chain = draw(_place())
    where = f"{FAMILY_OF[program]} {table}"
    return draw(
        st.sampled_from(
            (
                f"nft flush chain {where} {chain}",
                f"nft delete chain {where} {chain}",
                f"nft add chain {where} {chain}",
                f"nft flush table {where}",
                f"nft delete table {where}",
                f"nft add rule {where} {chain} counter accept",
                f"nft insert rule {where} {chain} tcp dport 80 accept",
                "nft add table inet mine",
                "nft delete table inet mine",
                "nft add chain inet mine first '{ type filter hook input priority -10; }'",
                f"echo 'flush chain {where} {chain}' | nft -f -",
            )
        )
    )


@st.composite
def _loads(draw: st.DrawFn) -> str:
    """What was saved before is loaded: of a table or of all, in the same family or the other."""
    program, file = draw(_program()), draw(st.sampled_from(FILES))
    flags = draw(st.sampled_from(("", "", " --noflush", " -T mangle", " -T filter", " --test")))
    return f"{program}-restore{flags} <{file}"


@st.composite
def _piped(draw: st.DrawFn) -> str:
    one, other = draw(_program()), draw(_program())
    table = draw(st.sampled_from(("", " -t mangle", " -t filter")))
    by_way = draw(st.sampled_from(("", "sed /KUBE/d | ", "grep -v CANARY | ")))
    return f"{one}-save{table} | {by_way}{other}-restore"


@st.composite
def _look(draw: st.DrawFn) -> str:
    """A command whose exit code says what is there."""
    program, table, chain = draw(_place())
    return draw(
        st.sampled_from(
            (
                f"{program} -t {table} -S {chain}",
                f"{program} -t {table} -nL {chain}",
                f"{program} -t {table} -S | grep -q {chain}",
                f"{program} -C INPUT -j {GUARD}",
                f"{program}-save | grep -q {chain}",
                f"{program}-save -t {table} | grep -q {chain}",
                f"nft list chain {FAMILY_OF[program]} {table} {chain}",
                f"nft list ruleset | grep -q {chain}",
                f"grep -q {chain} {draw(st.sampled_from(FILES))}",
                f"[ $({program} -t {table} -S | wc -l) -gt 6 ]",
                f"case $({program} -t {table} -S) in *{chain}*) ;; *) false ;; esac",
            )
        )
    )


@st.composite
def _notes(draw: st.DrawFn) -> str:
    """A look whose answer is kept: in a file, or in a variable."""
    program, table, _ = draw(_place())
    file = draw(st.sampled_from(FILES))
    look = draw(_look())
    return draw(
        st.sampled_from(
            (
                f"{program}-save >{file}",
                f"{program}-save -t {table} >{file}",
                f"{program} -t {table} -S >{file}",
                f"nft list ruleset >{file}",
                f"{look}; seen=$?",
                f"seen=1; {look} && seen=0",
            )
        )
    )


def _change() -> st.SearchStrategy[str]:
    kinds = [_one_change(), _one_change(), _one_change(), _native(), _loads(), _piped()]
    if all(shutil.which(one) for one in LEGACY):
        kinds.append(_one_change().map(lambda line: line.replace("tables ", "tables-legacy ", 1)))
    return st.one_of(kinds)


@st.composite
def _branch(draw: st.DrawFn) -> str:
    look, change, other = draw(_look()), draw(_change()), draw(_change())
    return draw(
        st.sampled_from(
            (
                f"if {look}; then {change}; fi",
                f"if {look}; then {change}; else {other}; fi",
                f"{look} || {change}",
                f"[ $seen = 0 ] && {change}",
                f"if [ $seen = 0 ]; then {change}; else {other}; fi",
            )
        )
    )


@st.composite
def _loop(draw: st.DrawFn) -> str:
    line = draw(st.one_of(_one_change(), _branch()))
    over = draw(
        st.sampled_from(
            (("for one in iptables ip6tables", "iptables "), ("for one in mangle nat", "mangle "))
        )
    )
    head, word = over
    return f"{head}; do {line.replace(word, '$one ', 1)}; done"


@st.composite
def _background(draw: st.DrawFn) -> str:
    line = draw(st.one_of(_change(), _branch()))
    return f"{{ {line}; }} &"


@st.composite
def _failure(draw: st.DrawFn) -> str:
    return draw(
        st.sampled_from(("set -e", "false", "no-such-program", "trap '' TERM", "set -o pipefail"))
    )


@st.composite
def scripts(draw: st.DrawFn, most: int = MOST_LINES) -> str:
    """A whole script, its lines one below the other."""
    kinds: list[Callable[[], st.SearchStrategy[str]]] = [
        _change,
        _change,
        _notes,
        _branch,
        _branch,
        _loop,
        _background,
        _failure,
    ]
    lines = draw(
        st.lists(st.sampled_from(kinds).flatmap(lambda kind: kind()), min_size=1, max_size=most)
    )
    if any(line.endswith("&") for line in lines) and draw(st.booleans()):
        lines.append("wait")
    if draw(st.integers(0, 9)):  # what does not end with 0 has not shown what it does
        lines.append("exit 0")
    return "\n".join((f"#!{draw(st.sampled_from(SHELLS))}", "seen=", *lines, ""))
