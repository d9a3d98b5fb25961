"""Which programs are shells."""

from __future__ import annotations

# What is interpreted by one of these starts programs, each of which is seen by itself.
SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh"})
