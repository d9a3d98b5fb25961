#!/bin/sh
# The script's unit: kubelet is started only when it has ended.
set -e
mkdir -p /etc/systemd/system/chainrace-script.service.d
cat >/etc/systemd/system/chainrace-script.service.d/before-kubelet.conf <<EOF
[Unit]
Before=kubelet.service
[Service]
Type=oneshot
EOF
