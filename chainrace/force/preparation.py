"""What a remedy changes on the node itself: drop-ins, masks. Undone afterwards."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chainrace.errors import LabError
from chainrace.force.run import read_script
from chainrace.node.node import Node

# Not in /run, where some images let nothing be run.
PATH = "/usr/local/lib/chainrace/prepare"
UNDO = "/usr/local/lib/chainrace/units-back.sh"


@contextmanager
def prepared(nodes: list[Node], file: Path | None) -> Iterator[str]:
    """Run a file of the host's on the nodes; what it did to units is undone afterwards.

    Yields its digest, empty without a file. Raises UsageError for what is no script, LabError
    where it fails.
    """
    if file is None:
        yield ""
        return
    data = read_script(file)
    try:
        for node in nodes:
            node.connection.put(data, PATH)
            node.connection.succeed(f"chmod 755 {PATH}")
            node.connection.succeed(f"{PATH} && systemctl daemon-reload")
        yield hashlib.sha256(data).hexdigest()[:12]
    except LabError as error:
        raise LabError(f"--prepare {file.name}: {error.what}", error.remedy) from error
    finally:
        for node in nodes:
            node.connection.succeed(UNDO)
