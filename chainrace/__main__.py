"""Where ./lab enters: an interruption is one line from the first import on."""

import sys

from chainrace.base.interruption import INTERRUPTED_EXIT, end_as_by_ctrl_c


def main() -> None:
    """Run one command. What it needs takes a second to import: that may be interrupted, too."""
    end_as_by_ctrl_c()
    try:
        from chainrace.cli import main as command  # noqa: PLC0415

        command()
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED_EXIT)


if __name__ == "__main__":
    main()
