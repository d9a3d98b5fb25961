#!/usr/bin/env bash
# iptables_save as the outage had it.
set -euo pipefail

iptables_save() {
	iptables-save >/etc/systemd/scripts/ip4save
	ip6tables-save >/etc/systemd/scripts/ip6save
	systemctl restart iptables
}

iptables_save
