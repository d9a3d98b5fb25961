"""What results are made by: the scripts, the call, the tool. With it a finding is run again."""

import shlex
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import chainrace
from chainrace.base.paths import REPOSITORY
from chainrace.explore.preparation import PATH as PREPARED
from chainrace.explore.scripts import Script
from chainrace.node.node import Node
from chainrace.report.made_by import Kept, Origin
from chainrace.settings.config import LabConfig
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET

UNKNOWN = "unknown"
GIT_SECONDS = 10


def origin_of(
    config: LabConfig, node: Node | None, scripts: Iterable[Script] = (), *, root: Path = REPOSITORY
) -> Origin:
    """What this call makes results by. The scripts are read from the node: that is what it runs.

    Without a node nothing was brought to any, and no script is kept. Raises LabError.
    """
    chosen = [] if node is None else list(scripts)
    prepared = any(script.prepared for script in chosen)
    return Origin(
        command=as_typed(sys.argv),
        version=version(),
        commit=commit(root),
        kubelet=_kubelet(config, root),
        backend=None if node is None else node.identity.get("backend"),
        prepare=_text(node, PREPARED) if node and prepared else None,
        scripts={
            script.name: Kept(_text(node, script.path), script.expect, script.boot)
            for script in chosen
            if node is not None and script.other is None
        },
        subject=chosen[0].subject if chosen else KUBELET,
        against=chosen[0].other if chosen else None,
    )


def as_typed(words: list[str]) -> tuple[str, ...]:
    """A call as its user typed it: ./lab becomes Python with a module (./lab)."""
    program, *arguments = words or [UNKNOWN]
    return ("./lab" if Path(program).name == "__main__.py" else program, *arguments)


def _text(node: Node, path: str) -> bytes:
    # What a command says is taken for text: whatever a file holds must come through that.
    return b64decode(node.connection.succeed(f"base64 {shlex.quote(path)}"))


def _kubelet(config: LabConfig, root: Path) -> str | None:
    if config.image is not None and not config.kubelet.asked:
        return None
    path = config.kubelet.path
    return config.kubelet.pinned if path is None else str(root / path)


def version() -> str:
    """The tool's own version."""
    try:
        return str(getattr(chainrace, "__version__", None) or metadata.version("chainrace"))
    except metadata.PackageNotFoundError:
        return UNKNOWN


def commit(root: Path = REPOSITORY) -> str:
    """The commit that a clone stands at, and whether its files are as that has them."""
    head = _git(root, "rev-parse", "HEAD")
    if not head:
        return UNKNOWN
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return f"{head} and changes" if changed else head


def _git(root: Path, *words: str) -> str:
    """What git says; empty where it says nothing, is not there, or finds no repository."""
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=root,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
