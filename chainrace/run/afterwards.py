"""What is done at an end, whatever ended it: the first error counts, not one that follows it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def afterwards(do: Callable[[], None], say: Callable[[str], None]) -> Iterator[None]:
    """`do` it when this is left. Where an error ended it, one of `do` itself is only told.

    `finally:` alone would put the later error in the place of the first.
    """
    try:
        yield
    except BaseException:
        try:
            do()
        except Exception as later:  # noqa: BLE001 - it is told, and the first one goes on
            say(f"and then: {type(later).__name__}: {later}")
        raise
    do()
