"""What each command touches. A conflict that is overlooked would be a false proof."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrace.model.trial import Call
from chainrace.search.step import (
    EVERYTHING,
    PARTS,
    TABLES,
    Footprint,
    footprint,
    prints,
    reads_rules,
    tables,
    tables_alone,
    touches,
)


def call(line: str, *, actor: str = "script", **more: object) -> Call:
    program, *words = line.split()
    return Call(actor, program, tuple(words), **more)  # type: ignore[arg-type]


def made(line: str, **more: object) -> Footprint:
    return footprint(call(line, **more))  # type: ignore[arg-type]


NFT = {"exe": "xtables-nft-multi"}
ALL = frozenset(
    f"{v}/{table}/{part}" for v in ("ipv4", "ipv6") for table in TABLES for part in PARTS
)
OF_NFT = ALL | {"nft", "sets"}
OTHERS = frozenset({"life/k", "life/x", "units", "sysctl", "files", "lock", "sets", "nft"})


def of(text: str, table: str = "ipv4/filter") -> frozenset[str]:
    """`chains rules` of a table, `files` as it is."""
    return frozenset(word if word in OTHERS else f"{table}/{word}" for word in text.split())


def test_everything_is_everything() -> None:
    assert EVERYTHING.writes == ALL | OTHERS


@pytest.mark.parametrize(
    ("line", "reads", "writes"),
    [
        ("iptables -N A", "chains", "chains"),
        ("iptables -X", "chains rules", "chains"),
        ("iptables -X A", "chains rules", "chains"),
        ("iptables -X INPUT", "chains rules policy", "chains"),
        ("iptables -E A B", "chains rules", "chains rules"),
        ("iptables -F", "", "rules"),
        ("iptables -F A", "chains", "rules"),
        ("iptables -vF", "chains", "rules"),
        ("iptables -A A -j DROP", "chains rules", "rules"),
        ("iptables -I A -j B", "chains rules", "rules"),
        ("iptables -D A -g B", "chains rules", "rules"),
        ("iptables -D A 1", "chains rules", "rules"),
        ("iptables -R A 1 -j DROP", "chains rules", "rules"),
        ("iptables -A A -c 1 2", "chains rules", "rules counters"),
        ("iptables -A A -m set --match-set S src", "chains rules sets files", "rules"),
        ("iptables -A A -s example.org", "chains rules sets files", "rules"),
        ("iptables -C A -j DROP", "chains rules", ""),
        ("iptables -C A -m owner --uid-owner 0", "chains rules sets files", ""),
        ("iptables -L", "chains rules policy", ""),
        ("iptables -nL A", "chains rules policy", ""),
        ("iptables -nvL", "chains rules policy counters", ""),
        ("iptables -L -x", "chains rules policy counters", ""),
        ("iptables -S", "chains rules policy", ""),
        ("iptables -vS", "chains rules policy counters", ""),
        ("iptables -P INPUT DROP", "policy", "policy"),
        ("iptables -P A DROP", "policy chains", "policy"),
        ("iptables -Z", "", "counters"),
        ("iptables -Z A", "chains", "counters"),
        ("iptables -Z A 1", "chains rules", "counters"),
        ("iptables -L -Z", "chains rules policy", "counters"),
        ("iptables -S -Z A -v", "chains rules policy counters", "counters"),
        ("iptables --version", "", ""),
        ("iptables -F -h", "", ""),
        ("iptables-save -t filter", "chains rules policy counters", ""),
        ("iptables-save -t filter -f x", "chains rules policy counters", "files"),
        ("iptables-restore -T filter", "sets files", "chains rules policy counters"),
        (
            "iptables-restore -nT filter",
            "sets files chains rules policy counters",
            "chains rules policy counters",
        ),
        ("iptables-restore -tT filter", "sets files chains rules policy counters", ""),
        ("iptables-translate -A INPUT -j DROP", "files", ""),
        ("iptables-restore-translate -f x", "files", ""),
        ("ebtables -F", "nft files", "nft"),
        ("arptables-nft-save", "nft files", "nft"),
    ],
)
def test_each_action_touches_these_parts_of_its_table(line: str, reads: str, writes: str) -> None:
    assert made(line, **NFT) == Footprint(of(reads), of(writes))


@pytest.mark.parametrize("number", ["4", "6"])
@pytest.mark.parametrize("table", TABLES)
def test_of_the_table_and_family_that_are_named(table: str, number: str) -> None:
    program = {"4": "iptables", "6": "ip6tables"}[number]
    where = f"ipv{number}/{table}"
    assert made(f"{program} -t{table} -X", **NFT) == Footprint(
        of("chains rules", where), of("chains", where)
    )
    assert tables(made(f"{program} -t{table} -X")) == {where}
    assert touches(made(f"{program} -t{table} -X"), f"ipv{number}")
    assert not touches(made(f"{program} -t{table} -X"), f"ipv{10 - int(number)}")
    saved = made(f"{program}-save", **NFT)
    assert saved.reads == {name for name in ALL if name.startswith(f"ipv{number}/")}
    assert made(f"{program}-restore", **NFT).writes == saved.reads


def test_both_backends_are_one_and_what_may_be_legacy_waits_for_the_lock() -> None:
    assert made("iptables -F", **NFT) == made("iptables-nft -F")
    locked = made("iptables -F", **NFT) | Footprint(reads=frozenset({"lock"}))
    assert made("iptables-legacy -F") == locked
    assert made("iptables -F", exe="xtables-legacy-multi") == locked
    assert made("iptables -F") == locked
    assert made("flock /run/xtables.lock true").conflicts(locked)


MAKES = "iptables -w 5 -N KUBE-FIREWALL -t filter"
JUMPS = "iptables -I OUTPUT -t filter -j KUBE-FIREWALL"
ASKS = "iptables -C OUTPUT -j KUBE-FIREWALL"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *((MAKES, f"iptables {words}") for words in ("-X", "-tfilter -X", "-E A B", "-S", "-N B")),
        (MAKES, "iptables -F KUBE-FIREWALL"),
        (MAKES, "iptables -A KUBE-FIREWALL -j DROP"),
        (MAKES, ASKS),
        *((MAKES, line) for line in ("iptables-restore", "iptables-save", "nft -f rules")),
        *((JUMPS, f"iptables {words}") for words in ("-F", "-X", "-F OUTPUT", "-D OUTPUT 1")),
        *((JUMPS, line) for line in (ASKS, JUMPS, "iptables-restore -n", "iptables -L")),
        (ASKS, "iptables -F"),
        (ASKS, "iptables -X"),
        ("iptables -P INPUT DROP", "iptables -S"),
        ("iptables -Z", "iptables -vL"),
        ("ipset destroy S", "iptables -F"),
        ("ipset destroy S", "iptables -A A -m set --match-set S src"),
        ("ipset list", "iptables -F"),
        ("ipset add S 1.2.3.4", "nft list ruleset"),
        ("sysctl net.netfilter.nf_conntrack_max=1", JUMPS),
        ("systemctl daemon-reload", "systemctl show x"),
    ],
)
def test_these_conflict(one: str, other: str) -> None:
    assert made(one).conflicts(made(other))
    assert made(other).conflicts(made(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *((MAKES, f"ip6tables{rest}") for rest in (" -t filter -X", "-restore")),
        *((MAKES, f"iptables {words}") for words in ("-tnat -X", "--table=nat -X", "-t raw -F")),
        *((MAKES, f"iptables {words}") for words in ("-P INPUT DROP", "-Z", "-F", "-t filter -F")),
        *((MAKES, line) for line in ("iptables --version", "iptables-save -t nat", "sleep 1")),
        ("iptables -S", "iptables -S"),
        ("iptables -S", "iptables -Z"),
        ("nft add table inet mine", JUMPS),
        ("ipset add S 1.2.3.4", JUMPS),
        ("sysctl net.ipv4.ip_forward=1", JUMPS),
        ("systemctl restart iptables", JUMPS),
    ],
)
def test_these_commute(one: str, other: str) -> None:
    assert not made(one).conflicts(made(other))


def test_kubelets_commands_change_what_can_be_seen_of_it() -> None:
    for line, lane in (("iptables -F", "life/k"), ("ip6tables --version", "life/x")):
        of_kubelet = made(line, actor="kubelet")
        assert of_kubelet == made(line) | Footprint(writes=frozenset({lane}))
        assert of_kubelet.conflicts(made("journalctl -u kubelet"))
        assert of_kubelet.conflicts(made("systemctl is-active kubelet"))
    begins = made("kubelet begins", actor="kubelet")
    assert begins.writes == {"life/k", "life/x"}
    for line in ("systemctl daemon-reload", "touch x", "ip link set eth0 down"):
        # What could change its start (its unit, its files, its programs) touches everything.
        assert not begins.conflicts(made(line))
    for line in (
        "systemctl mask kubelet",
        "touch /etc/kubernetes/kubelet.env",
        "rm /usr/sbin/iptables",
    ):
        assert begins.conflicts(made(line))
    assert not begins.conflicts(made("iptables -F"))
    assert made("kubelet begins") == EVERYTHING


def test_a_shell_does_nothing_but_start_others() -> None:
    assert made("script begins", kind="shell") == Footprint()
    assert made("iptables -F", kind="shell") == Footprint()
    assert made("sh -c kubelet", kind="shell") == Footprint()
    assert made("script begins") == EVERYTHING


@pytest.mark.parametrize(
    ("line", "shared"),
    [
        ("iptables -F", "lock"),
        ("iptables --new-fangled", "files lock"),
        ("iptables-nft-restore", "files"),
        ("ip6tables-nft -F", ""),
        ("nft flush ruleset", "files"),
        ("ip link", ""),
        ("sysctl net.ipv4.ip_forward=1", ""),
        ("cat x", "files"),
    ],
)
def test_in_another_network_namespace_only_files_are_the_same(line: str, shared: str) -> None:
    found = made(line, foreign=True)
    assert found.reads | found.writes == frozenset(shared.split())


@pytest.mark.parametrize("line", ["sysctl kernel.panic=1", "cat /proc/1/x", "perl x", "ipset list"])
def test_in_another_network_namespace_others_still_touch_everything(line: str) -> None:
    assert made(line, foreign=True) == EVERYTHING


ALONE = """
iptables -X
iptables -A A -p tcp --dport 80 -j B
iptables -C A -j DROP
iptables -S
iptables -nL
iptables-save
iptables-save -t nat
iptables --version
iptables -D A 1
ip6tables-legacy -F
"""
NOT_ALONE = """
iptables-restore
iptables-restore -t
iptables-save -f x
iptables-save -c
iptables -L
iptables -nvL
iptables -vS
iptables -A A -m set --match-set S src
iptables --new
iptables -A A -s example.org
iptables-translate -F
nft list ruleset
cat x
perl x
"""
TELLING = """
iptables-save
iptables -C INPUT -j X
iptables -L
iptables -S
iptables -vX
iptables -L -Z
nft list ruleset
nft -f x
ipset list
perl x
"""
SILENT = """
iptables -X
iptables --version
iptables -A A -j B
iptables-restore
cat x
ip link
"""


@pytest.mark.parametrize(
    ("alone", "lines"),
    [
        (True, ALONE),
        (False, NOT_ALONE),
    ],
)
def test_what_depends_on_the_tables_alone(alone: bool, lines: str) -> None:  # noqa: FBT001
    for line in lines.strip().splitlines():
        assert tables_alone(call(line)) is alone, line
        assert not tables_alone(call(line, foreign=True)), line
        assert not tables_alone(call(line, kind="shell")), line


@pytest.mark.parametrize(
    ("told", "lines"),
    [
        (True, TELLING),
        (False, SILENT),
    ],
)
def test_what_tells_its_caller_of_the_rules(told: bool, lines: str) -> None:  # noqa: FBT001
    for line in lines.strip().splitlines():
        assert prints(call(line)) is told, line
        assert reads_rules(call(line)) is told, line


def test_only_tables_of_iptables_count_as_tables() -> None:
    assert not tables(Footprint(OTHERS, OTHERS))
    assert tables(EVERYTHING) == {f"{v}/{table}" for v in ("ipv4", "ipv6") for table in TABLES}


PROGRAMS = "iptables ip6tables-restore nft systemctl sysctl ip ipset cat sed flock journalctl x"
SOME_WORDS = "-A -t nat -f x list flush ruleset stop kubelet ; -- /etc/x net.ipv4.x { } ! -n"
WORDS = st.lists(st.sampled_from(SOME_WORDS.split()) | st.text(max_size=5), max_size=6)


@given(st.sampled_from(PROGRAMS.split()), WORDS, st.booleans())
def test_any_words_have_a_footprint_within_everything(
    program: str,
    words: list[str],
    foreign: bool,  # noqa: FBT001
) -> None:
    one = Call("script", program, tuple(words), foreign=foreign)
    assert footprint(one) <= EVERYTHING
    assert isinstance(prints(one), bool)
    assert isinstance(tables_alone(one), bool)


def test_a_start_that_systemd_holds_back_is_a_start() -> None:
    assert made("guard begins behind iptables.service", actor="guard") == made(
        "guard begins", actor="guard"
    )
