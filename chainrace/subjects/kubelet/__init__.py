"""kubelet: what it says of its rules."""
