#!/usr/bin/env bash
# iptables_save as the fix has it.
set -euo pipefail

iptables_save() {
	iptables-save >/etc/systemd/scripts/ip4save
	ip6tables-save >/etc/systemd/scripts/ip6save
}

iptables_save
