"""kubelet's own words on its iptables initialisation, for the node's side and the lab's.

Source: pkg/kubelet/kubelet_network_linux.go and kubelet.go of Kubernetes.
"""

import re

# I1121 06:31:22.1 1 kubelet_network_linux.go:54] "Initialized iptables rules." protocol="IPv4"
# I1121 06:31:22.1 1 kubelet_network_linux.go:56] Initialized IPv4 iptables rules. (1.20)
INITIALISED = re.compile(r'Initialized (?:iptables rules\.?" protocol="|)(IPv[46])')
# ... "Failed to initialize iptables rules; some functionality may be missing." protocol="IPv4"
# ... Failed to initialize IPv4 iptables rules; some functionality may be missing. (1.20)
FAILED = re.compile(r'Failed to initialize (?:iptables rules[^"]*" protocol="|)(IPv[46])')
# ... "Starting kubelet main sync loop": the call after the initialisation
BEYOND = "Starting kubelet main sync loop"

# The chain by whose loss its Monitor notices a flush (pkg/util/iptables/iptables.go).
CANARY = "KUBE-KUBELET-CANARY"
# By it programs learn which backend is in use (KEP-3178).
HINT = "KUBE-IPTABLES-HINT"

FAMILY_OF_PROTOCOL = {"IPv4": "ipv4", "IPv6": "ipv6"}


def words_in(log: str) -> dict[str, str]:
    """By family what a log of kubelet's says of its start: initialised or failed."""
    return {
        FAMILY_OF_PROTOCOL[found[1]]: word
        for pattern, word in ((INITIALISED, "initialised"), (FAILED, "failed"))
        for found in pattern.finditer(log)
    }
