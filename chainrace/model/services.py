"""The services of a node that load and drop rules, and the files that they load."""

from __future__ import annotations

# Azure Linux's, which the outage's script restarts.
SERVICE = "iptables.service"
# The units that load or drop firewall rules, on Azure Linux and elsewhere.
SERVICE_UNITS = (
    "iptables.service",
    "ip6tables.service",
    "nftables.service",
    "netfilter-persistent.service",
    "firewalld.service",
)
SAVED_FILE = {
    "ipv4": "/etc/systemd/scripts/ip4save",
    "ipv6": "/etc/systemd/scripts/ip6save",
}
