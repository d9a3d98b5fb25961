"""azure-npm's own first step, on the rules as they are."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

from chainrace.gate.shell import PROGRAM_SECONDS

# The call that azure-npm makes first, dataplane.NewDataPlane
# (provision/binaries/azure-container-networking).
PROBE = "azure-npm-probe"


def start() -> dict[str, Any] | None:
    """Whether azure-npm starts: its exit code and its words; None where the node has none.

    It makes its chains where it does. Where it does not end it has no code: what became of
    kubelet is known by then, and must not be lost for it.
    """
    if shutil.which(PROBE) is None:
        return None
    try:
        done = subprocess.run(
            [PROBE], capture_output=True, text=True, timeout=PROGRAM_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"code": None, "log": f"{PROBE}: {error}"}
    return {"code": done.returncode, "log": done.stdout + done.stderr}
