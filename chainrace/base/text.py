"""A node's text made fit to be shown: a node's log is not to be trusted."""

import re
from pathlib import Path

# \x1b[31m, whatever else would not be printed, what turns the order of letters round, and what
# no XML may have (halves of a letter, U+FFFE, U+FFFF)
UNPRINTABLE = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
    r"|[\ud800-\udfff\ufffe\uffff]"
)


def clean(text: str) -> str:
    """A text without what could steer a terminal or hide in a page."""
    return UNPRINTABLE.sub("", text)


def line(text: str) -> str:
    """A text as one line."""
    return " ".join(clean(text).split())


def told(verdict: str, reason: str) -> str:
    """A verdict in one sentence: its verdict stands there once."""
    return reason if reason.startswith(f"{verdict}:") else f"{verdict}: {reason}"


def cell(text: str) -> str:
    """A text as a cell of a Markdown table, which a | or a new line would end."""
    return line(text).replace("|", "\\|")


def write(file: Path, text: str) -> None:
    """Keep a node's text in a file that anybody may print."""
    file.write_text(clean(text))
