import struct

import pytest

from chainrace.gate.audit import (
    ALWAYS,
    EQUAL,
    EXCLUDED,
    FIELD_MSGTYPE,
    FILTER_EXCLUDE,
    FILTER_EXIT,
    FILTER_TASK,
    NEVER,
    RULE_FIELDS,
    RULE_OPERATORS,
    RULE_VALUES,
    SWITCHED_OFF,
    is_never,
    leaves_out,
)
from chainrace.gate.shell import NodeError
from chainrace.gate.witness import Change, parse

STAMP = "audit(1763652123.123:42): "


def test_a_change_by_the_nft_backend_is_read() -> None:
    text = (
        "table=filter:2 family=2 entries=3 op=nft_register_chain pid=71 "
        'subj=unconfined comm="iptables-nft"'
    )
    assert parse(STAMP + text) == Change(
        table="filter",
        family="ipv4",
        op="nft_register_chain",
        pid=71,
        program="iptables-nft",
        entries=3,
        generation=2,
    )


def test_a_change_by_the_legacy_backend_has_no_generation() -> None:
    text = 'table=nat family=10 entries=5 op=xt_replace pid=9 comm="ip6tables"'
    assert parse(STAMP + text) == Change(
        table="nat",
        family="ipv6",
        op="xt_replace",
        pid=9,
        program="ip6tables",
        entries=5,
        generation=None,
    )


@pytest.mark.parametrize(
    ("number", "family"),
    [(1, "inet"), (2, "ipv4"), (3, "arp"), (5, "netdev"), (7, "bridge"), (10, "ipv6"), (12, "12")],
)
def test_families_have_names(number: int, family: str) -> None:
    text = f'table=t:7 family={number} entries=1 op=nft_register_table pid=1 comm="nft"'
    assert parse(text).family == family


@pytest.mark.parametrize(
    ("comm", "program"),
    [
        ('"nft"', "nft"),
        ("6D79202277616C6C22", 'my "wall"'),
        ("(null)", "(null)"),
        ('"kworker/u8:1"', "kworker/u8:1"),
    ],
)
def test_odd_names_of_programs_are_decoded(comm: str, program: str) -> None:
    text = f"table=t:7 family=2 entries=1 op=nft_register_table pid=1 comm={comm}"
    assert parse(text).program == program


@pytest.mark.parametrize("table", ["a b", "a:5", "x family=1 entries=0 op=y pid=3", 'q"', "zwölf"])
def test_a_table_may_be_called_anything(table: str) -> None:
    text = f'table={table}:9 family=2 entries=1 op=nft_register_rule pid=8 comm="nft"'
    change = parse(STAMP + text)
    assert (change.table, change.generation, change.family, change.pid) == (table, 9, "ipv4", 8)


def test_a_label_may_have_spaces() -> None:
    text = 'table=t:7 family=2 entries=1 op=nft_x pid=4 subj=/usr/sbin/x (enforce) comm="nft"'
    assert parse(text).pid == 4


@pytest.mark.parametrize(
    "text",
    ["", "op=set audit_enabled=0 old=1", 'table=t:7 family=2 op=nft_register_rule comm="nft"'],
)
def test_what_is_not_understood_is_no_silence(text: str) -> None:
    with pytest.raises(NodeError, match="not understood"):
        parse(text)


def test_switching_audit_off_is_recognised() -> None:
    assert SWITCHED_OFF.search("op=set audit_enabled=0 old=1 auid=4294967295 ses=1 res=1")
    assert not SWITCHED_OFF.search("op=set audit_enabled=1 old=0 auid=4294967295 ses=1 res=1")
    assert EXCLUDED.search("auid=0 ses=1 op=add_rule key=(null) list=5 res=1")
    assert not EXCLUDED.search("auid=0 ses=1 op=remove_rule key=(null) list=5 res=1")
    assert not EXCLUDED.search("auid=0 ses=1 op=add_rule key=(null) list=4 res=1")


def rule(listed: int, *fields: tuple[int, int]) -> bytes:
    data = bytearray(1040)
    struct.pack_into("=3I", data, 0, listed, 0, len(fields))
    for at, (field, value) in enumerate(fields):
        struct.pack_into("=I", data, RULE_FIELDS + 4 * at, field)
        struct.pack_into("=I", data, RULE_VALUES + 4 * at, value)
        struct.pack_into("=I", data, RULE_OPERATORS + 4 * at, EQUAL)
    return bytes(data)


def test_rules_that_leave_out_our_records_are_found() -> None:
    assert leaves_out(rule(FILTER_EXCLUDE, (FIELD_MSGTYPE, 1325)))
    assert leaves_out(rule(FILTER_EXCLUDE, (1, 0)))  # all that root does
    assert not leaves_out(rule(FILTER_EXCLUDE, (FIELD_MSGTYPE, 1307)))
    assert not leaves_out(rule(FILTER_EXCLUDE, (1, 0), (FIELD_MSGTYPE, 1307)))
    assert not leaves_out(rule(4, (FIELD_MSGTYPE, 1325)))


@pytest.mark.parametrize(
    ("listed", "action", "leaves"),
    [
        (FILTER_TASK, NEVER, "leaves out"),
        (FILTER_EXIT, NEVER, "leaves out"),
        (FILTER_EXIT, ALWAYS, ""),
        (FILTER_EXCLUDE, NEVER, ""),
    ],
)
def test_a_rule_that_leaves_out_system_calls_is_told(listed: int, action: int, leaves: str) -> None:
    rule = struct.pack("=3I", listed, action, 0) + bytes(RULE_OPERATORS)
    assert is_never(rule) is bool(leaves)
