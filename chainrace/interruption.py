"""What ends a command before its own end."""

import signal

# As shells have it: 128 and the number of SIGINT.
INTERRUPTED_EXIT = 130


def end_as_by_ctrl_c() -> None:
    """Let SIGTERM and SIGHUP end this process as Ctrl-C does: what was measured is kept.

    One that is ignored stays so: nohup(1) means it.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
