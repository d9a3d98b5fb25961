"""What a user asks for: lab.toml, scenarios, scripts, and whether a node is kept."""
