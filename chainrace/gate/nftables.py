"""The kernel's nftables asked over netlink: no program is run, which the gate would hold.

Source: linux/netfilter/nf_tables.h, linux/netlink.h.
"""

import socket
import struct
from collections.abc import Iterator

NETLINK_NETFILTER = 12
NFNL_SUBSYS_NFTABLES = 10
NFT_MSG_GETTABLE = NFNL_SUBSYS_NFTABLES << 8 | 1
NFT_MSG_GETGEN = NFNL_SUBSYS_NFTABLES << 8 | 16
NFTA_TABLE_NAME = 1
NFTA_GEN_ID = 1
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_DUMP = 1, 0x300
FAMILY = {"ipv4": 2, "ipv6": 10}  # NFPROTO_IPV4, NFPROTO_IPV6
# NFPROTO_* of linux/netfilter.h, as nft calls them; NFPROTO_UNSPEC asks for all.
UNSPECIFIED = 0
WORD = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}

HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
NFGENMSG = struct.Struct(">BBH")  # family, version, resource
ATTRIBUTE = struct.Struct("=HH")  # length, type


def generation() -> int:
    """A number that grows with each change of the rules.

    Raises OSError where the kernel has no nftables.
    """
    with _asked(NFT_MSG_GETGEN, 0, NLM_F_REQUEST) as line:
        kind, body = next(messages(line.recv(65536)))
    if kind == NLMSG_ERROR:
        raise OSError("the kernel has no nftables")
    return int(struct.unpack(">I", attribute(body, NFTA_GEN_ID))[0])


def tables(family: str) -> list[str]:
    """The names of a family's tables, sorted."""
    return sorted(name for _, name in _listed(FAMILY[family]))


def all_tables() -> list[tuple[str, str]]:
    """The tables of all families, sorted: each one's family in nft's words, and its name."""
    return sorted((WORD.get(family, str(family)), name) for family, name in _listed(UNSPECIFIED))


def _listed(family: int) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    with _asked(NFT_MSG_GETTABLE, family, NLM_F_REQUEST | NLM_F_DUMP) as line:
        while True:
            for kind, body in messages(line.recv(65536)):
                if kind in (NLMSG_DONE, NLMSG_ERROR):
                    return found
                name = attribute(body, NFTA_TABLE_NAME).rstrip(b"\0").decode(errors="replace")
                found.append((body[0], name))


def _asked(message: int, family: int, flags: int) -> socket.socket:
    body = NFGENMSG.pack(family, 0, 0)
    line = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    line.bind((0, 0))
    line.send(HEADER.pack(HEADER.size + len(body), message, flags, 1, 0) + body)
    return line


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The messages of an answer: the type of each, and what follows its header."""
    at = 0
    while at < len(data):
        length, kind, *_ = HEADER.unpack_from(data, at)
        yield kind, data[at + HEADER.size : at + length]
        at += length + 3 & ~3


def attribute(body: bytes, wanted: int) -> bytes:
    """An attribute's value, by its type. Raises OSError where there is none."""
    at = NFGENMSG.size
    while at < len(body):
        length, kind = ATTRIBUTE.unpack_from(body, at)
        if kind == wanted:
            return body[at + ATTRIBUTE.size : at + length]
        at += length + 3 & ~3
    raise OSError(f"the kernel's answer has no attribute {wanted}")
