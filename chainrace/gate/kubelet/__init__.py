"""kubelet under the gate: what it has done and waits for, its Monitor, its own words."""
