"""The neighbour that the gate asks as: a network namespace of the node with a link to it."""

SPACE = "chainrace-n"
# Of the link's two ends (RFC 5737, addresses for documentation).
NODE, NEIGHBOUR = "192.0.2.1", "192.0.2.2"


def fetches(port: int, path: str) -> str:
    """A command for the node's shell: a page of a port of the node, asked for by the neighbour."""
    return f"ip netns exec {SPACE} busybox wget -T 20 -q -O /dev/null http://{NODE}:{port}/{path}"
