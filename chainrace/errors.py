"""What a command may end with, besides a verdict."""

USAGE_EXIT = 2
ENVIRONMENT_EXIT = 4


class LabError(Exception):
    """The environment is unusable: says what happened, to what, and what to do.

    `what` is one line; `remedy` is the next thing for the user to do. The command
    ends with exit code 4 and prints both, never a traceback.
    """

    exit_code = ENVIRONMENT_EXIT

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}\n  to do: {remedy}")
        self.what = what
        self.remedy = remedy


class UsageError(LabError):
    """The call or a file that the user wrote is wrong: exit code 2."""

    exit_code = USAGE_EXIT
