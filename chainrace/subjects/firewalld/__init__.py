"""firewalld: its zones' chains and the jumps to them."""
