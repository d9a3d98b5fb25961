"""Scripts as they are brought to nodes."""

from dataclasses import dataclass
from pathlib import Path

from chainrace.model.schedule import Race
from chainrace.model.subject import Subject
from chainrace.node.node import Node
from chainrace.settings.scripts import identity, read_script
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET

UPLOADS = "/usr/local/lib/chainrace/save/own"


@dataclass(frozen=True)
class Script:
    """A script on every node: its name for people, its path there, its text's digest.

    `boot`: it begins before iptables.service has been started. `prepared`: the digest of
    what was done to the node before, if anything was. `expect`: the code that it ends with.
    `subject`: whom it is raced with, and whose harm is looked for. `other`: the unit that stands in
    a script's place; there is no path then.
    """

    name: str
    path: str
    digest: str
    boot: bool = False
    prepared: str = ""
    expect: int = 0
    subject: Subject = KUBELET
    other: Subject | None = None

    @property
    def race(self) -> Race:
        """Of whom its schedules are."""
        return Race(self.subject.name, self.name, "" if self.other else self.digest)


def bring_script(nodes: list[Node], file: Path) -> Script:
    """Put a file of the host's onto the nodes. Raises UsageError for what is no script."""
    data = read_script(file)
    digest = identity(data)
    # A name of the lab's own: the file's may be anything.
    path = f"{UPLOADS}/{digest}"
    for node in nodes:
        node.connection.succeed(f"mkdir -p {UPLOADS}")
        node.connection.put(data, path)
        node.connection.succeed(f"chmod 755 {path}")
    return Script(file.name, path, digest)


def script_on(node: Node, name: str, path: str) -> Script:
    """A script that the node has already."""
    data = node.connection.succeed(f"cat '{path}'").encode()
    return Script(name, path, identity(data))


def unit_as_script(other: Subject) -> Script:
    """A unit in a script's place."""
    return Script(other.name, "", identity(repr(other).encode()), other=other)
