"""Programs that set firewall rules and trust that they stay."""
