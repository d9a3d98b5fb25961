"""From end states and trials to outcomes and verdicts. No I/O."""
