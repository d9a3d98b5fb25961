"""What a command may end with, besides a verdict."""

USAGE_EXIT = 2
ENVIRONMENT_EXIT = 4

# Of what is told in one line: a value of lab.toml may be of any length.
HEAD, TAIL = 200, 100


def in_one_line(text: str) -> str:
    """A text that nothing in it can continue: no line end, nothing that steers a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


class LabError(Exception):
    """The environment is unusable: says what happened, to what, and what to do.

    `what` becomes one line, without its middle where it is long; `remedy` is the next thing
    for the user to do. The command ends with exit code 4 and prints both, never a traceback.
    """

    exit_code = ENVIRONMENT_EXIT

    def __init__(self, what: str, remedy: str) -> None:
        self.what = in_one_line(_shortened(what))
        self.remedy = in_one_line(remedy)
        super().__init__(f"{self.what}\n  to do: {self.remedy}")


class UsageError(LabError):
    """The call or a file that the user wrote is wrong: exit code 2."""

    exit_code = USAGE_EXIT


def _shortened(text: str) -> str:
    # What failed stands at its begin, why at its end.
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]} … {text[-TAIL:]}"
