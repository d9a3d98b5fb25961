"""Every interleaving: one node walked to states, the graph of them, findings, replay."""
