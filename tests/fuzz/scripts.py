"""Random small shell scripts of the kinds that harm kubelet, or do not: hypothesis strategies.

Each is lines of sh that change, look at, save and load firewall rules, beside a kubelet: what a
human might have written into a provisioning script, put together by chance. A script can change
nothing outside the namespaces that it runs in.
"""

import shutil

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
BASE = "'{ type nat hook postrouting priority 100; }'"
FAMILY_OF = {"iptables": "ip", "ip6tables": "ip6"}
SHELLS = ("/bin/sh", "/bin/bash")
MOST_LINES = 5


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
    return draw(_called(f"{program} -t {table} {words}", program))


@st.composite
def _called(draw: st.DrawFn, line: str, program: str) -> str:
    """A command as it stands, most often; or by way of another program or name."""
    rest = line.removeprefix(program)
    return draw(
        st.sampled_from(
            (
                *[line] * 8,
                f"xtables-nft-multi {line}",
                f"{program}-nft{rest}",
                f"env {line}",
                f"timeout 9 {line}",
                f"sh -c '{line}'",
                f"echo '{rest}' | xargs {program}",
            )
        )
    )


@st.composite
def _native(draw: st.DrawFn) -> str:
    """One command of nft, in iptables' tables or in one of its own."""
    program, table, chain = draw(_place())
    where, nat = f"{FAMILY_OF[program]} {table}", f"{FAMILY_OF[program]} nat POSTROUTING"
    # What iptables cannot list: kubelet's look-up fails.
    masquerade = f"nft add chain {nat} {BASE}; nft add rule {nat} mark 1 masquerade"
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
                f"nft add rule {where} {chain} mark 1 masquerade",
                masquerade,
                "nft flush ruleset",
                "nft add table inet mine",
                "nft delete table inet mine",
                "nft add chain inet mine first '{ type filter hook input priority -10; }'",
                f"echo 'flush chain {where} {chain}' | nft -f -",
            )
        )
    )


@st.composite
def _loads(draw: st.DrawFn, file: str = "/etc/systemd/scripts/ip4save") -> str:
    """What was saved before is loaded: of a table or of all, in the same family or the other."""
    program = draw(_program())
    flags = draw(st.sampled_from(("", "", " --noflush", " -T mangle", " -T filter", " --test")))
    return f"{program}-restore{flags} <{file}"


@st.composite
def _piped(draw: st.DrawFn) -> str:
    one, other = draw(_program()), draw(_program())
    table = draw(st.sampled_from(("", " -t mangle", " -t filter")))
    by_way = draw(st.sampled_from(("", "sed /KUBE/d | ", "grep -v CANARY | ")))
    return f"{one}-save{table} | {by_way}{other}-restore"


# The shell's own looks at what kubelet has done, on the light node and on a real one.
BY_ITSELF = (
    "[ -e /run/subject.log ]",
    "[ -s /run/subject.log ]",
    "[ -d /sys/fs/cgroup/system.slice/kubelet.service ]",
)


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
                f"[ $({program} -t {table} -S | wc -l) -gt 6 ]",
                f"case $({program} -t {table} -S) in *{chain}*) ;; *) false ;; esac",
                *BY_ITSELF,
            )
        )
    )


@st.composite
def _saves(draw: st.DrawFn) -> str:
    program, table, _ = draw(_place())
    file = draw(st.sampled_from(FILES))
    return draw(st.sampled_from((f"{program}-save >{file}", f"{program}-save -t {table} >{file}")))


@st.composite
def _lists(draw: st.DrawFn) -> str:
    program, table, _ = draw(_place())
    file = draw(st.sampled_from(FILES))
    return draw(st.sampled_from((f"{program} -t {table} -S >{file}", f"nft list ruleset >{file}")))


@st.composite
def _notes(draw: st.DrawFn) -> str:
    """A look whose answer is kept in a variable."""
    look = draw(_look())
    return draw(st.sampled_from((f"{look}; seen=$?", f"seen=1; {look} && seen=0")))


def _change() -> st.SearchStrategy[str]:
    kinds = [_one_change(), _one_change(), _one_change(), _native(), _loads(), _piped()]
    if all(shutil.which(one) for one in LEGACY):
        kinds.append(_one_change().map(lambda line: line.replace("tables ", "tables-legacy ", 1)))
    return st.one_of(kinds)


@st.composite
def _acts(draw: st.DrawFn, look: str) -> str:
    """A branch on a look, or on what an earlier one has told."""
    change, other = draw(_change()), draw(_change())
    return draw(
        st.sampled_from(
            (
                f"if {look}; then {change}; fi",
                f"if {look}; then {change}; else {other}; fi",
                f"{look} || {change}",
                f"{look} && {change}",
            )
        )
    )


def _branch() -> st.SearchStrategy[str]:
    return _look().flatmap(_acts)


@st.composite
def _loop(draw: st.DrawFn) -> str:
    line = draw(st.one_of(_one_change(), _branch()))
    head, word = draw(
        st.sampled_from(
            (("for one in iptables ip6tables", "iptables "), ("for one in mangle nat", "mangle "))
        )
    )
    return f"{head}; do {line.replace(word, '$one ', 1)}; done"


@st.composite
def _background(draw: st.DrawFn) -> str:
    line = draw(st.one_of(_change(), _branch()))
    return f"{{ {line}; }} &"


def _failure() -> st.SearchStrategy[str]:
    return st.sampled_from(("set -e", "false", "no-such-program", "trap '' TERM"))


@st.composite
def _line(draw: st.DrawFn, before: list[str]) -> str:
    """The next line: what was noted or saved before can be come back to."""
    kinds = [_change(), _change(), _saves(), _lists(), _notes(), _branch(), _branch()]
    kinds += [_loop(), _background(), _failure()]
    text = "\n".join(before)
    if "seen=" in text:
        kinds += [_acts("[ $seen = 0 ]")] * 5
    for file in FILES:
        if f"-save >{file}" in text or f" >{file}" in text:
            kinds += [_loads(file)] * 3
            kinds += [st.just(f"nft -f {file}")] * (f"ruleset >{file}" in text)
            kinds += [_acts(f"grep -q {chain} {file}") for chain in (HINT, CANARY, GUARD)]
    return draw(draw(st.sampled_from(kinds)))


@st.composite
def scripts(draw: st.DrawFn, most: int = MOST_LINES) -> str:
    """A whole script, its lines one below the other."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, most))):
        lines.append(draw(_line(lines)))
    if any(line.endswith("&") for line in lines) and draw(st.booleans()):
        lines.append("wait")
    if draw(st.integers(0, 9)):  # what does not end with 0 has not shown what it does
        lines.append("exit 0")
    return "\n".join((f"#!{draw(st.sampled_from(SHELLS))}", *lines, ""))
