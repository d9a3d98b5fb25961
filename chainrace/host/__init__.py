"""What the lab needs of its own machine, and how it gets it."""
