"""Every interleaving by force: one node walked to states, the graph of them, findings, replay."""
