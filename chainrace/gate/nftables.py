"""The generation number of the kernel's nftables rules: it grows with each change."""

import socket
import struct

NETLINK_NETFILTER = 12
NFT_MSG_GETGEN = 0x0A10  # NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, linux/netfilter/nf_tables.h
NFTA_GEN_ID = 1
NLM_F_REQUEST = 1

HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
NFGENMSG = struct.Struct(">BBH")  # family, version, resource
ATTRIBUTE = struct.Struct("=HH")  # length, type


def generation() -> int:
    """The number now. Raises OSError where the kernel has no nftables."""
    body = NFGENMSG.pack(socket.AF_UNSPEC, 0, 0)
    request = HEADER.pack(HEADER.size + len(body), NFT_MSG_GETGEN, NLM_F_REQUEST, 1, 0) + body
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as line:
        line.bind((0, 0))
        line.send(request)
        reply = line.recv(4096)
    at = HEADER.size + NFGENMSG.size
    _, kind = ATTRIBUTE.unpack_from(reply, at)
    if kind != NFTA_GEN_ID:
        raise OSError(f"the kernel answered with attribute {kind} instead of the generation")
    return int(struct.unpack_from(">I", reply, at + ATTRIBUTE.size)[0])
