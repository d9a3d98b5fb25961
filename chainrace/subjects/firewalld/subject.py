"""firewalld as a subject.

With its backend iptables: with nftables, its default, it changes rules through a library, not by
processes. At its start it flushes every table before it makes its own chains: firewalld#863;
build_flush_rules() of firewall/core/ipXtables.py.
"""

from chainrace.model.subject import Subject

CONFIGURED = (
    "sed -i 's/^FirewallBackend=.*/FirewallBackend=iptables/' /etc/firewalld/firewalld.conf"
)

SUBJECT = Subject(
    "firewalld",
    "firewalld.service",
    packages=("firewalld",),
    programs=("firewalld",),
    prepare=CONFIGURED,
)
