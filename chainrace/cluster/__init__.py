"""A cluster for the node: a control plane of the lab's own, and what runs in it."""
