"""Data of an exploration written so that it can be read back, whatever a script is called or does.

Names and commands are the user's, and a node's text may be anything: halves of letters that no
JSON reader takes, a line of a megabyte, more than a file may have.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chainrace.base.files import MOST_BYTES, write_whole
from chainrace.report.document import MOST_LETTERS

# More has no room on a page: a script of a hundred stops has fewer.
MOST_DRAWN = 50_000
# Of a name in a name of a file: with what stands around it, it has 255 bytes at most.
NAME_LETTERS = 100
# Of each text and list where a file would be too large even without its maps.
FEW = 100


def file_name(script: str) -> str:
    """A script's name as a part of a file's name; for usual names the same."""
    plain = re.sub(r"[^A-Za-z0-9._+-]", "_", script).lstrip(".")
    return plain[:NAME_LETTERS] or "script"


def short(text: str) -> str:
    """A text as long as a map's may be."""
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "…"


def store(file: Path, document: Mapping[str, Any]) -> None:
    """Write data as JSON, whole or not at all; where it is too large, without what says least."""
    data = sound(document)
    for lessened in (data, _without_maps(data), _cut(_without_maps(data))):
        text = json.dumps(lessened, indent=2) + "\n"
        if len(text) <= MOST_BYTES:
            break
    write_whole(file, text)


def sound(value: Any) -> Any:
    """The same data without what no reader of JSON takes: half letters, numbers without end."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else 0.0
    if isinstance(value, Mapping):
        return {sound(name): sound(one) for name, one in value.items()}
    return [sound(one) for one in value] if isinstance(value, (list, tuple)) else value


def _without_maps(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: None if name == "map" else _without_maps(one) for name, one in value.items()}
    return [_without_maps(one) for one in value] if isinstance(value, list) else value


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value[:FEW]
    if isinstance(value, dict):
        return {name: _cut(one) for name, one in value.items()}
    return [_cut(one) for one in value[:FEW]] if isinstance(value, list) else value
