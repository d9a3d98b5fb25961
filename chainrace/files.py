"""Files that are there whole or not at all."""

import json
from pathlib import Path
from typing import Any


def write_whole(path: Path, text: str) -> None:
    """Write a file so that no reader ever sees half of it."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file so that no reader ever sees half of it."""
    write_whole(path, json.dumps(data, indent=2) + "\n")
