"""The graph of states: what a step touches, what is known, what is left to try. No I/O."""
