"""firewalld: its chains and zones, by the iptables programs."""
