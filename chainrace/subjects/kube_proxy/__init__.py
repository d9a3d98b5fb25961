"""kube-proxy in iptables mode: KUBE-SERVICES and its other chains, and the jumps to them."""
