"""What is done to a node before an exploration, and undone afterwards."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.explore.walker import PRISTINE
from chainrace.model.protocol import Clock, Release
from chainrace.model.subject import Subject
from chainrace.node.node import Node
from chainrace.node.snapshots import Snapshots
from chainrace.settings.scripts import read_script

# Not in /run, where some images let nothing be run.
PATH = "/usr/local/lib/chainrace/prepare"
UNDO = "/usr/local/lib/chainrace/units-back.sh"
UNITS = "/etc/systemd/system"
# A subject's own preparation may start a daemon and a container, on a slow host.
PREPARE_SECONDS = 600
# Of these systemd knows when they have been executed alone (systemd.service(5)).
UNCLEAR = frozenset({"simple", "exec", "idle"})


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


@contextmanager
def brought(nodes: list[Node], subject: Subject) -> Iterator[None]:
    """A subject's unit on the nodes, at rest; what was brought is removed afterwards.

    Raises LabError for a unit that there is not, or of which systemd cannot say when it has done.
    """
    if subject.by_family:
        yield
        return
    file = f"{UNITS}/{subject.unit}"
    try:
        for node in nodes:
            if subject.text:
                node.connection.put(subject.text, file)
            node.connection.succeed("systemctl daemon-reload")
            _refuse_unclear(node, subject)
            if subject.prepare:
                node.connection.succeed(subject.prepare, timeout=PREPARE_SECONDS)
            node.connection.succeed(f"systemctl stop '{subject.unit}'")
        yield
    finally:
        for node in nodes:
            node.connection.run(f"systemctl stop '{subject.unit}'")
            if subject.text:
                node.connection.succeed(f"rm -f {file} && systemctl daemon-reload")


def _refuse_unclear(node: Node, subject: Subject) -> None:
    loaded, kind = (
        node.connection.succeed(f"systemctl show -P {about} '{subject.unit}'").strip()
        for about in ("LoadState", "Type")
    )
    if loaded != "loaded":
        raise LabError(
            f"{subject.unit} is no unit that systemd can load: {loaded}",
            "name a unit of the image, or a file with a / in its name",
        )
    if kind in UNCLEAR and not subject.done:
        raise LabError(
            f"{subject.unit} has Type={kind}: systemd does not know when it has done",
            f"write a command that says so into lab.toml: done, of the subject {subject.name}",
        )


@contextmanager
def pristine(paths: Paths, nodes: list[Node], limit: float) -> Iterator[list[Snapshots | None]]:
    """The nodes in their clean state, each kept as a snapshot that every start goes back to.

    Yields each node's snapshots, None for one whose line does not outlive a restore. No other
    connection is open meanwhile: it would not outlive one either. Raises LabError.
    """
    with ExitStack() as stack:
        found: list[Snapshots | None] = []
        for node in nodes:
            if not node.agent.survives_restore:
                found.append(None)
                continue
            node.agent.ask(Release(), timeout=2 * limit)
            stack.enter_context(node.connection.closed_meanwhile())
            snapshots = Snapshots(paths, node.machine.domain)
            snapshots.clear()
            snapshots.save(PRISTINE)
            stack.callback(_as_it_was, node, snapshots, limit)
            found.append(snapshots)
        yield found


def _as_it_was(node: Node, snapshots: Snapshots, limit: float) -> None:
    """The node as it was before: whatever a script has left on its disk goes."""
    snapshots.restore(PRISTINE)
    node.agent.ask(Clock(time.time()), timeout=limit)
    snapshots.clear()
