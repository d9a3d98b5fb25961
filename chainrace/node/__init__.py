"""One node over ssh: commands, files, and the agent that races on it."""
