"""Mistakes in lab.toml and in options, in words and with their line."""

import re

from pydantic import ValidationError

# How pydantic calls what is wrong, and how a person would; in braces what it knows of it.
WORDS = {
    "extra_forbidden": "there is no such key",
    "int_type": "write a whole number",
    "string_type": "write a text in quotes",
    "list_type": "write a list",
    "model_type": "write a table",
    "dict_type": "write a table",
    "missing": "it is missing",
    "greater_than_equal": "write {ge} or more",
    "less_than_equal": "write {le} or less",
    "literal_error": "write {expected}",
    "string_too_short": "write a text that is not empty",
    "string_pattern_mismatch": "write a text like {like}",
    "value_error": "{error}",
}
# For a text that must look so, a sample by the name of its key.
LIKE = {
    "name": "outage-1.36",
    "user": "azureuser",
    "version": "1.34.4",
    "unit": "units/guard.service",
}


def in_words(error: ValidationError) -> str:
    """What is wrong with the first value that is, without pydantic's own words."""
    first = error.errors()[0]
    words = WORDS.get(first["type"], first["msg"])
    like = LIKE.get(str(first["loc"][-1]) if first["loc"] else "", "what docs/reference.md says")
    return words.format(**{"like": like, **first.get("ctx", {})})


def line_of(text: str, keys: tuple[str | int, ...]) -> int | None:
    """The line of a TOML text that sets a key: ("scenario", 1, "backend"), counted from 1.

    Where the key stands inside a value (an inline table), the line of that.
    """
    wanted = 1 + next((key for key in keys if isinstance(key, int)), 0)
    names = [key for key in keys if isinstance(key, str)]
    deepest, found = 0, None
    section: list[str] = []
    seen = 0
    for at, line in enumerate(text.splitlines(), start=1):
        # a header: [node], [[scenario]], [scenario.image]
        if header := re.fullmatch(r"\s*(\[+)\s*([\w.-]+)\s*\]+\s*(?:#.*)?", line):
            section = header[2].split(".")
            seen += header[1] == "[[" and section == names[:1]
            path = section
        # a line like backend = "nft"
        elif key := re.match(r"\s*([\w.-]+)\s*=", line):
            path = [*section, *key[1].split(".")]
        else:
            continue
        in_it = seen in (0, wanted) or section[:1] != names[:1]
        if in_it and len(path) > deepest and path == names[: len(path)]:
            deepest, found = len(path), at
    return found
