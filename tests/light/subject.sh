#!/bin/bash
# What kubelet does with its rules at its start (pkg/kubelet/kubelet_network_linux.go), step by step
# and with its decisions, for explorations that need no VM. It stands in for kubelet in the checks
# of the checker alone: what chainrace says of a kubelet is shown with a real one.
say() { echo "I1126 10:00:00.000000 $$ kubelet_network_linux.go:54] $1" >>"$CHAINRACE_LOG"; }

canaries() {
	for table in mangle nat filter; do
		"$1" -w 5 -N KUBE-KUBELET-CANARY -t "$table"
		case $? in 0 | 1) ;; *) return ;; esac
	done
}

failed() { say "\"Failed to initialize iptables rules; some functionality may be missing.\" protocol=\"$1\""; }

chain() { "$1" -w 5 -N "$2" -t "$3" 2>/dev/null || [ $? = 1 ]; }

rule() { # program, -I or -A, then the rule
	"$1" -w 5 -C "${@:3}" 2>/dev/null
	case $? in
	0) ;;
	1) "$1" -w 5 "$2" "${@:3}" ;;
	*) return 1 ;;
	esac
}

guard() {
	chain "$1" KUBE-FIREWALL filter &&
		rule "$1" -I OUTPUT -t filter -j KUBE-FIREWALL &&
		rule "$1" -I INPUT -t filter -j KUBE-FIREWALL &&
		rule "$1" -A KUBE-FIREWALL -t filter ! -s 127.0.0.0/8 -d 127.0.0.0/8 \
			-m comment --comment "block incoming localnet connections" \
			-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
}

family() {
	chain "$2" KUBE-IPTABLES-HINT mangle || { failed "$1" && return; }
	[ "$1" = IPv6 ] || guard "$2" || { failed "$1" && return; }
	say "\"Initialized iptables rules.\" protocol=\"$1\""
	canaries "$2" &
}

looks() { "$1" --version >/dev/null && "$1" -w 5 -S POSTROUTING -t nat >/dev/null 2>&1; }

looks iptables && four=yes
looks ip6tables && six=yes
[ -z "$four" ] || family IPv4 iptables
[ -z "$six" ] || family IPv6 ip6tables
say "\"Starting kubelet main sync loop\""
wait
exec sleep infinity
