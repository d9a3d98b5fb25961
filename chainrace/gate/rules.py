"""The node's rules as text: read in the backend in use, made comparable."""

from chainrace.gate.shell import run

SAVE = {"ipv4": "iptables-save", "ipv6": "ip6tables-save"}
RESTORE = {"ipv4": "iptables-restore", "ipv6": "ip6tables-restore"}


def read() -> dict[str, str]:
    """The rules of both families, in the backend that `iptables` means here.

    IPv4 before IPv6, always: reading may load modules, and the order is part of
    what a trial is.
    """
    return {family: run([program]) for family, program in SAVE.items()}
