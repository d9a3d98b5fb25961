"""Every interleaving: one node brought to states, the graph of them, findings, replay."""
