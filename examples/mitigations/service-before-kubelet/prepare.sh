#!/bin/sh
# At a boot kubelet waits until iptables.service has loaded its rules.
set -e
mkdir -p /etc/systemd/system/iptables.service.d
cat >/etc/systemd/system/iptables.service.d/before-kubelet.conf <<EOF
[Unit]
Before=kubelet.service
EOF
