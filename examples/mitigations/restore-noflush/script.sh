#!/bin/sh
set -e
iptables-save >/etc/systemd/scripts/ip4save
ip6tables-save >/etc/systemd/scripts/ip6save
iptables-restore --noflush </etc/systemd/scripts/ip4save
ip6tables-restore --noflush </etc/systemd/scripts/ip6save
