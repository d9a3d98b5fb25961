"""The commands of ./lab. Exit codes: 0 confirmed, 1 refuted, 3 inconclusive, 2, 4."""

import sys
import traceback
from contextlib import suppress

from chainrace.cli import compare, force, lab, run
from chainrace.cli.app import app
from chainrace.errors import LabError
from chainrace.interruption import INTERRUPTED_EXIT
from chainrace.paths import Paths
from chainrace.report.text import clean

__all__ = ["compare", "force", "lab", "main", "run"]


def main() -> None:
    """Run one command; every error is a line or two, never a traceback."""
    try:
        app()
    except LabError as error:
        print(f"lab: {clean(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as ended:  # typer's own way to end, also on Ctrl-C
        if ended.code == INTERRUPTED_EXIT:
            print("lab: interrupted; what was measured is kept", file=sys.stderr)
        raise
    except Exception as error:  # noqa: BLE001 - exit code 1 would mean "refuted"
        log = Paths().logs / "error.log"
        with suppress(OSError):
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(traceback.format_exc())
        print(
            f"lab: {type(error).__name__}: {clean(str(error))}\n  to do: see {log}", file=sys.stderr
        )
        sys.exit(LabError.exit_code)
