from chainrace.gate.world import INCOMPATIBLE, section_of, sets
from chainrace.model.rules import parse, plain, sections

NATIVE = """\
table ip nat {
\tchain POSTROUTING {
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\tip saddr 10.250.0.0/16 ip daddr != 10.0.0.0/8 masquerade
\t\tcounter jump KUBE-POSTROUTING
\t}

\tchain KUBE-POSTROUTING {
\t\tip saddr { 192.0.2.1, 192.0.2.2,
\t\t\t   192.0.2.3 } drop
\t}
}
"""
SET = "\tset allowed {\n\t\ttype ipv4_addr\n\t\tflags timeout\n\t}\n\n"


def test_a_native_table_becomes_a_section() -> None:
    section, whole = section_of(NATIVE)
    assert whole
    assert section.splitlines() == [
        "*nat",
        ":POSTROUTING ACCEPT [0:0]",
        ":KUBE-POSTROUTING - [0:0]",
        "-A POSTROUTING ip saddr 10.250.0.0/16 ip daddr != 10.0.0.0/8 masquerade",
        "-A POSTROUTING counter jump KUBE-POSTROUTING",
        "-A KUBE-POSTROUTING ip saddr { 192.0.2.1, 192.0.2.2, 192.0.2.3 } drop",
        "COMMIT",
    ]
    assert set(sections(section)) == {"nat"}
    assert "nat :KUBE-POSTROUTING" in parse(section).entries


def test_what_a_section_cannot_say_is_told() -> None:
    head, _, rest = NATIVE.partition("\n")
    section, whole = section_of(f"{head}\n{SET}{rest}")
    assert not whole
    assert section == section_of(NATIVE)[0]
    section, whole = section_of(NATIVE.replace("chain POSTROUTING", "chain mine"))
    assert not whole
    assert ":mine - [0:0]" in section


def test_a_policy_stays() -> None:
    dropping = NATIVE.replace("policy accept", "policy drop")
    assert ":POSTROUTING DROP [0:0]" in section_of(dropping)[0]


def test_a_warning_of_nfts_is_no_part_of_a_table() -> None:
    warned = "# Warning: table ip nat is managed by iptables-nft, do not touch!\n" + NATIVE
    assert section_of(warned) == section_of(NATIVE)


def test_a_table_that_is_left_out_is_recognised() -> None:
    text = "# Generated\n# Table `nat' is incompatible, use 'nft' tool.\n*filter\nCOMMIT\n"
    assert INCOMPATIBLE.findall(text) == ["nat"]


def test_sets_are_the_same_whatever_the_time() -> None:
    head = "hash:ip family inet hashsize 1024 maxelem 65536 timeout 300 bucketsize 12"
    one = (
        f"create a {head} initval 0x4009b5e1\nadd a 192.0.2.2 timeout 299 packets 3 bytes 180\n"
        "add a 192.0.2.1 timeout 7 packets 0 bytes 0\n"
    )
    assert sets(one) == f"add a 192.0.2.1\nadd a 192.0.2.2\ncreate a {head}\n"


def test_the_order_of_rules_is_kept() -> None:
    one = plain("*filter\n-A INPUT -s 192.0.2.1 -j ACCEPT\n-A INPUT -j DROP\nCOMMIT\n")
    other = plain("*filter\n-A INPUT -j DROP\n-A INPUT -s 192.0.2.1 -j ACCEPT\nCOMMIT\n")
    assert one != other
    assert sorted(one) == sorted(other)


def test_the_order_of_tables_and_of_declarations_means_nothing() -> None:
    first = "*filter\n:INPUT DROP [1:2]\n:B - [0:0]\n:A - [0:0]\n[3:4] -A B -j A\nCOMMIT\n"
    second = "# by hand\n*nat\n:POSTROUTING ACCEPT [0:0]\nCOMMIT\n"
    mixed = "*filter\n:A - [7:7]\n:INPUT DROP [0:0]\n:B - [0:0]\n-A B -j A\nCOMMIT\n"
    assert plain(first + second) == plain(second + mixed)
    assert plain(first + second) == [
        *("*filter", ":A -", ":B -", ":INPUT DROP", "-A B -j A", "COMMIT"),
        *("*nat", ":POSTROUTING ACCEPT", "COMMIT"),
    ]


def test_a_built_in_chains_policy_stays() -> None:
    assert plain("*filter\n:INPUT DROP [0:0]\nCOMMIT\n") != plain(
        "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"
    )
