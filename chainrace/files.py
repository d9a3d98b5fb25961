"""Files that are there whole or not at all."""

import json
from pathlib import Path
from typing import Any


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file so that no reader ever sees half of it."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(data, indent=2) + "\n")
    partial.replace(path)
