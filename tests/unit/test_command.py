"""A command of iptables' is read as iptables itself reads it, or not at all."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrace.model.trial import Call
from chainrace.search.command import Command, called, parse

LONG = {
    "-t": "--table",
    "-A": "--append",
    "-I": "--insert",
    "-C": "--check",
    "-D": "--delete",
    "-F": "--flush",
    "-L": "--list",
    "-S": "--list-rules",
    "-X": "--delete-chain",
    "-Z": "--zero",
    "-N": "--new-chain",
    "-P": "--policy",
    "-p": "--protocol",
    "-s": "--source",
    "-j": "--jump",
    "-i": "--in-interface",
    "-v": "--verbose",
    "-n": "--numeric",
}


def call(*words: str, exe: str = "") -> Call:
    return Call("script", words[0], words[1:], exe=exe)


def read(line: str, exe: str = "") -> Command:
    found = parse(call(*line.split(), exe=exe))
    assert found is not None, line
    return found


@pytest.mark.parametrize(
    ("line", "exe", "program", "backend", "family"),
    [
        ("iptables -F", "", "iptables", None, "ipv4"),
        ("ip6tables -F", "xtables-nft-multi", "ip6tables", "nft", "ipv6"),
        ("iptables -F", "xtables-legacy-multi", "iptables", "legacy", "ipv4"),
        ("iptables-nft -F", "", "iptables", "nft", "ipv4"),
        ("ip6tables-legacy -F", "", "ip6tables", "legacy", "ipv6"),
        ("iptables-legacy-restore", "xtables-legacy-multi", "iptables-restore", "legacy", "ipv4"),
        ("ip6tables-nft-save", "xtables-nft-multi", "ip6tables-save", "nft", "ipv6"),
        ("xtables-nft-multi ip6tables -F", "", "ip6tables", "nft", "ipv6"),
        ("xtables-nft-multi ip6tables -F", "xtables-nft-multi", "ip6tables", "nft", "ipv6"),
        ("xtables-legacy-multi iptables-save", "", "iptables-save", "legacy", "ipv4"),
        ("mine restore6", "xtables-nft-multi", "ip6tables-restore", "nft", "ipv6"),
        ("save4", "xtables-nft-multi", "iptables-save", "nft", "ipv4"),
        ("iptables -F", "iptables", "iptables", None, "ipv4"),
        ("iptables -F", "iptables-legacy", "iptables", "legacy", "ipv4"),
    ],
)
def test_a_program_has_its_name_backend_and_family(
    line: str, exe: str, program: str, backend: str | None, family: str
) -> None:
    found = read(line, exe)
    assert (found.program, found.backend, found.family) == (program, backend, family)


@pytest.mark.parametrize(
    ("line", "exe"),
    [
        ("iptables -F", "python3.11"),
        ("iptables -F", "nft"),
        ("iptables-legacy -F", "xtables-nft-multi"),
        ("iptables -F", "ip6tables"),
        ("save4", ""),
        ("xtables-nft-multi", ""),
        ("xtables-monitor", "xtables-nft-multi"),
        ("iptables-apply x", ""),
        ("myiptables -F", ""),
    ],
)
def test_a_program_that_is_not_certainly_one_of_them_is_none(line: str, exe: str) -> None:
    assert called(call(*line.split(), exe=exe)) is None
    assert parse(call(*line.split(), exe=exe)) is None


@pytest.mark.parametrize(
    ("line", "tables"),
    [
        ("iptables -S", ("filter",)),
        ("iptables -t nat -S", ("nat",)),
        ("iptables -tnat -S", ("nat",)),
        ("iptables -ntmangle -L", ("mangle",)),
        ("iptables -S --table=raw", ("raw",)),
        ("iptables -S --tab security", ("security",)),
        ("iptables -wtnat -S", None),  # -w takes what is joined to it
        ("iptables -t nat -t filter -S", None),
        ("iptables -t mine -S", None),
        ("iptables -S -t", None),
        ("iptables -A INPUT -m comment --comment -tnat", ("filter",)),
        ("iptables -A INPUT -m comment --comment -t nat", None),
        ("iptables -A INPUT -m comment --comment --table=nat -t raw", ("raw",)),
        ("iptables-save", ("filter", "nat", "mangle", "raw", "security")),
        ("iptables-save -t nat", ("nat",)),
        ("iptables-save -ctnat", ("nat",)),
        ("iptables-save --tab=nat", ("nat",)),
        ("iptables-restore", ("filter", "nat", "mangle", "raw", "security")),
        ("iptables-restore -T nat", ("nat",)),
        ("iptables-restore --table nat", ("nat",)),
        ("iptables-restore --t nat", None),  # --table or --test
        ("iptables-restore -t nat", ("filter", "nat", "mangle", "raw", "security")),
    ],
)
def test_the_table_is_the_one_that_is_named(line: str, tables: tuple[str, ...] | None) -> None:
    found = parse(call(*line.split()))
    assert (None if found is None else found.tables) == tables


@pytest.mark.parametrize(
    ("line", "actions", "chain", "number"),
    [
        ("iptables -L", "-L", None, None),
        ("iptables -nvL INPUT", "-L", "INPUT", None),
        ("iptables -Ln", "-L", "n", None),
        ("iptables -L INPUT 3 -n", "-L", "INPUT", "3"),
        ("iptables -S -w", "-S", None, None),
        ("iptables -w -S", "-S", None, None),
        ("iptables -w 5 -F", "-F", None, None),
        ("iptables -F -w 5", "-F", None, None),
        ("iptables -FINPUT", "-F", "INPUT", None),
        ("iptables --flush=INPUT", "-F", "INPUT", None),
        ("iptables -X -t nat", "-X", None, None),
        ("iptables -Z INPUT 2", "-Z", "INPUT", "2"),
        ("iptables -L -Z", "-L -Z", None, None),
        ("iptables -S -Z INPUT", "-S -Z", "INPUT", None),
        ("iptables -D INPUT 3", "-D", "INPUT", "3"),
        ("iptables -D INPUT -j DROP", "-D", "INPUT", None),
        ("iptables -I INPUT 3 -j DROP", "-I", "INPUT", "3"),
        ("iptables -R INPUT 3 -j DROP", "-R", "INPUT", "3"),
        ("iptables -E A B", "-E", "A", None),
        ("iptables -P INPUT DROP", "-P", "INPUT", None),
        ("iptables --list", "-L", None, None),
        ("iptables --list-r", "-S", None, None),
        ("iptables --new A", "-N", "A", None),
        ("iptables -4 -F", "-F", None, None),
        ("ip6tables -6 -F", "-F", None, None),
        ("iptables -A INPUT -c 1 2 -j DROP", "-A", "INPUT", None),
        ("iptables -A INPUT -c 1,2 -j DROP", "-A", "INPUT", None),
        ("iptables -A INPUT --set-c 1 2 -j DROP", "-A", "INPUT", None),
    ],
)
def test_actions_take_their_chain_and_number(
    line: str, actions: str, chain: str | None, number: str | None
) -> None:
    found = read(line)
    assert (" ".join(found.actions), found.chain, found.number) == (actions, chain, number)


@pytest.mark.parametrize(
    "line",
    [
        "iptables",
        "iptables -t nat",
        "iptables -A",
        "iptables -R INPUT -j DROP",
        "iptables -R INPUT x",
        "iptables -E A",
        "iptables -P INPUT",
        "iptables -F -X",
        "iptables -L -S",
        "iptables -F -F",
        "iptables -L -Z -L",
        "iptables -L INPUT -Z OUTPUT",
        "iptables -D INPUT x",
        "iptables -D INPUT 0",
        "iptables -F A B",
        "iptables -F -- A",
        "iptables -F -",
        "iptables -F !",
        "iptables ! ! -F",
        "iptables -A INPUT -s ! 1.2.3.4",
        "iptables -A INPUT --source=! -j DROP",
        "iptables -w x -F",
        "iptables -W -F",
        "iptables -F -b",
        "iptables -F --new-fangled",
        "iptables -F --verbose=1",
        "iptables --de A",  # --delete, --delete-chain, --destination
        "iptables -6 -F",
        "ip6tables -4 -F",
        "iptables -M /bin/x -F",
        "iptables --modprobe=/bin/x -F",
        "iptables -A INPUT --dport 80",
        "iptables -A INPUT -p tcp --dport",
        "iptables -A INPUT -m unheard-of",
        "iptables -A INPUT -j AUDIT",
        "iptables -A INPUT -j DROP -g A",
        "iptables -A INPUT -c 1",
        "iptables -A INPUT -p tcp --tcp-flags SYN -j DROP",
        "iptables -A INPUT -m set --match-set S -j DROP",
        "iptables -A INPUT -p tcp --so 1.2.3.4",  # --source, --source-port
        "iptables-save x",
        "iptables-save -M /bin/x",
        "iptables-save --help",
        "iptables-restore a b",
        "iptables-restore --ipv6",
        "iptables-restore -6",
    ],
)
def test_what_iptables_refuses_or_nobody_can_tell_is_not_understood(line: str) -> None:
    assert parse(call(*line.split())) is None


@pytest.mark.parametrize(
    ("line", "asking"),
    [
        ("iptables -V", True),
        ("iptables --version", True),
        ("iptables -F --vers", True),
        ("iptables -nh", True),
        ("iptables -hicmp", True),
        ("iptables-restore --help", True),
        ("iptables-save -cV", True),
        ("iptables -A INPUT -m comment --comment -V", False),
        ("iptables -A INPUT -m comment --comment --help", False),
        ("iptables -A INPUT -j LOG --log-prefix -h", False),
        ("iptables -A -V -j DROP", False),
        ("iptables -FV", False),  # the chain V
    ],
)
def test_only_an_option_asks(line: str, asking: bool) -> None:  # noqa: FBT001
    assert read(line).asking is asking


def test_a_value_is_no_option() -> None:
    line = "iptables -A INPUT -m comment --comment -F -j LOG --log-prefix -X ! -i -D"
    found = read(line)
    assert (found.actions, found.chain, found.jump) == (("-A",), "INPUT", "LOG")
    rule = "-m comment --comment -F -j LOG --log-prefix -X ! -i -D"
    assert found.rule == tuple(rule.split())


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("iptables-restore", {}),
        ("iptables-restore -t", {"dry": True}),
        ("iptables-restore --test", {"dry": True}),
        ("iptables-restore -ntc x", {"dry": True, "noflush": True, "counters": True, "file": "x"}),
        ("iptables-restore x --nofl", {"noflush": True, "file": "x"}),
        ("iptables-restore -w 5 x", {"file": "x"}),
        ("iptables-restore -w x", {}),  # the value of -w, if only for iptables-nft
        ("iptables-restore -wn x", {"noflush": True, "file": "x"}),
        ("iptables-restore --wait=5 -W 9 -- -x", {"file": "-x"}),
        ("iptables-save -c", {"counters": True}),
        ("iptables-save -f x", {"file": "x"}),
        ("iptables-save --file=x", {"file": "x"}),
    ],
)
def test_how_a_save_or_restore_goes(line: str, changes: dict[str, object]) -> None:
    found = read(line)
    plain = replace(found, dry=False, noflush=False, counters=False, file=None)
    assert found == replace(plain, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "plain"),
    [
        ("-p tcp --dport 80 -j ACCEPT", True),
        ("-p 6 --syn -j REJECT --reject-with tcp-reset", True),
        ("-p tcp -m multiport --dports 1,2 -m comment --comment x -j KUBE-A", True),
        ("-m conntrack ! --ctstate NEW -m mark --mark 1/1 -j MARK --set-xmark 1/1", True),
        ("-p icmp --icmp-type 8 -g A", True),
        ("-s 10.0.0.0/8,1.2.3.4/255.0.0.0 -d ::1 -j MASQUERADE --random-f", True),
        ("-p tcp -j DNAT --to 1.2.3.4:80", True),
        ("-s example.org -j DROP", False),
        ("-d localhost -j DROP", False),
        ("-m set --match-set S src -j DROP", False),
        ("-m owner --uid-owner 0 -j DROP", False),
        ("-m recent --set --name x", False),
        ("-m hashlimit --hashlimit-upto 1/s --hashlimit-name x", False),
        ("-m bpf --object-pinned /sys/x", False),
        ("-j SET --add-set S src", False),
        ("-j CT --helper ftp", False),
    ],
)
def test_a_rule_is_plain_where_it_names_nothing_elsewhere(words: str, plain: bool) -> None:  # noqa: FBT001
    found = read(f"iptables -t nat -A A {words}")
    assert found.plain_rule is plain
    assert found.tables == ("nat",)


def test_a_translation_is_no_rule() -> None:
    for line in ("iptables-translate -F", "ip6tables-restore-translate -f x", "iptables-xml"):
        found = read(line)
        assert found.translates
        assert not found.actions
        assert not found.tables


# Commands in short options that stand apart: for each a list of options with their values.
OPTIONS = st.tuples(
    st.sampled_from(
        [
            ("-A", "INPUT"),
            ("-I", "INPUT"),
            ("-C", "OUTPUT"),
            ("-D", "A"),
            ("-F",),
            ("-L",),
            ("-S",),
            ("-X",),
            ("-Z",),
            ("-N", "A"),
        ]
    ),
    st.lists(
        st.sampled_from(
            [("-t", "nat"), ("-p", "esp"), ("-s", "1.2.3.4"), ("-j", "A"), ("-i", "lo"), ("-n",)]
        ),
        unique=True,
    ),
).map(lambda found: [found[0], *found[1]])


@st.composite
def spelled(draw: st.DrawFn, option: tuple[str, ...]) -> tuple[str, ...]:
    """The same option in another spelling: joined, long, cut short."""
    short, *values = option
    forms = [option, (LONG[short], *values)]
    if values:
        forms += [(short + values[0],), (f"{LONG[short]}={values[0]}",)]
    others = {word for word in (*LONG.values(), "--src", "--set-counters") if word != LONG[short]}
    # The letters that no other long option begins with.
    cut = next(
        (
            at
            for at in range(3, len(LONG[short]))
            if not any(other.startswith(LONG[short][:at]) for other in others | other_names(short))
        ),
        None,
    )
    if cut is not None:
        forms.append((LONG[short][: draw(st.integers(cut, len(LONG[short])))], *values))
    return draw(st.sampled_from(forms))


def other_names(short: str) -> set[str]:
    names = """
    replace rename-chain exact fragments version help line-numbers modprobe goto ipv4 ipv6 wait
    wait-interval dst destination match out-interface
    """
    return {f"--{name}" for name in names.split()} - {LONG[short]}


@given(st.data(), OPTIONS)
def test_a_spelling_changes_nothing(data: st.DataObject, options: list[tuple[str, ...]]) -> None:
    plain = parse(call("iptables", *(word for one in options for word in one)))
    other = [data.draw(spelled(one)) for one in options]
    assert plain is not None
    assert parse(call("iptables", *(word for one in other for word in one))) == plain


@given(OPTIONS, st.randoms())
def test_the_order_of_options_changes_nothing_but_the_rules_words(
    options: list[tuple[str, ...]], random: object
) -> None:
    plain = parse(call("iptables", *(word for one in options for word in one)))
    random.shuffle(options)  # type: ignore[attr-defined]
    other = parse(call("iptables", *(word for one in options for word in one)))
    assert plain is not None
    assert other is not None
    assert replace(other, rule=()) == replace(plain, rule=())
    assert sorted(other.rule) == sorted(plain.rule)


SOME_WORDS = "-A -F -V -t nat -tnat -m comment --comment -j INPUT A LOG --log-prefix ! -- - -w 5"
WORDS = st.sampled_from(SOME_WORDS.split())


@given(st.lists(WORDS, max_size=8))
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    found = parse(call("iptables", *words))
    assert found is None or found.asking or found.actions


@given(st.text(min_size=1))
def test_a_comment_is_a_comment_whatever_it_says(text: str) -> None:
    line = ("iptables", "-A", "A", "-m", "comment", "--comment", text, "-t", "nat")
    found = parse(call(*line))
    if text == "!":
        assert found is None
    else:
        assert found is not None
        assert (found.actions, found.tables) == (("-A",), ("nat",))
