#!/bin/sh
# What systemd does at each boot, beside kubelet's start: nothing orders the two.
exec systemctl start iptables.service
