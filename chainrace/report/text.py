"""A node's text made fit to be shown: a node's log is not to be trusted."""

import re

# \x1b[31m, and whatever else would not be printed
UNPRINTABLE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """A text without what could steer a terminal or hide in a page."""
    return UNPRINTABLE.sub("", text)
