"""Checks on this machine's own kernel, in network namespaces of their own: no node is needed."""
