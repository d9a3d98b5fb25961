"""chainrace: races a firewall save script against kubelet's start, on real VMs."""
