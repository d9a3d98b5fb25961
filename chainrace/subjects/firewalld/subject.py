"""firewalld as a subject, with its iptables backend.

With its nftables backend it changes rules in its own process, through libnftables: no step of it
can be held. With iptables it runs iptables-restore (firewall/core/ipXtables.py of firewalld). It
makes its rules at its start and at a reload, and looks at them at no other time.
"""

from chainrace.model.subject import Subject

PREPARE = """set -e
sed -i 's/^FirewallBackend=.*/FirewallBackend=iptables/' /etc/firewalld/firewalld.conf
"""

SUBJECT = Subject(
    "firewalld",
    "firewalld.service",
    # systemd knows only that it is on the bus; then it still makes its rules.
    done="firewall-cmd --state",
    packages=("firewalld",),
    programs=("firewalld",),
    prepare=PREPARE,
    repairs="when it is reloaded, and at no other time (firewall/core/fw.py of firewalld)",
    watch=60.0,
)
