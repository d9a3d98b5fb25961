"""Commands from start to end: a node, evidence, verdict, results."""
