"""A program's words, taken one option after the other as getopt_long(3) does."""

import re
from collections.abc import Iterator

# Long name -> its short letter, and what follows: nothing, `:` a value, `::` a value that must be
# joined to it, `:+` two values.
Options = dict[str, tuple[str, str]]


class OddError(Exception):
    """These words are not understood."""


def long_options(text: str) -> Options:
    """Read `append=A: help=h::`."""
    words = (word.partition("=") for word in text.split())
    return {name: (letter[0], letter[1:]) for name, _, letter in words}


class Words:
    """Reads them; whoever asks for the options may take values that stand between them.

    `long` may grow meanwhile. Raises OddError for what getopt_long(3) would not take.
    """

    def __init__(self, words: tuple[str, ...], short: str, long: Options) -> None:
        """`short` is as for getopt(3): `A:h::`."""
        self._words = words
        self._at = 0
        self._short = dict(re.findall(r"(\w)(:*)", short))  # h::
        self.long = long
        self._inside = False  # a word of joined options, not at its end

    def more(self) -> bool:
        """Whether a value stands next. Source: xs_has_arg() of iptables/xshared.c."""
        return (
            not self._inside
            and self._at < len(self._words)
            and not self._words[self._at].startswith(("-", "!"))
        )

    def take(self) -> str:
        """The next word, whatever it is."""
        if self._at >= len(self._words):
            raise OddError
        self._at += 1
        return self._words[self._at - 1]

    def rest(self) -> tuple[str, ...]:
        """All words that are left."""
        return self._words[self._at :]

    def options(self) -> Iterator[tuple[str, str | None]]:
        """Each option with its value; a word that is none comes as `("", word)`."""
        while self._at < len(self._words):
            word = self._words[self._at]
            self._at += 1
            self._inside = False
            if word == "--":
                yield from (("", operand) for operand in self.rest())
                return
            if word.startswith("--"):
                yield self._long(word[2:])
            elif word.startswith("-") and word != "-":
                yield from self._joined(word[1:])
            else:
                yield "", word

    def _joined(self, letters: str) -> Iterator[tuple[str, str | None]]:
        for at, letter in enumerate(letters):
            rest = letters[at + 1 :]
            values = self._short.get(letter)
            if values is None:
                raise OddError
            self._inside = bool(rest) and not values
            if values:
                yield letter, rest or (None if values == "::" else self.take())
                return
            yield letter, None

    def _long(self, word: str) -> tuple[str, str | None]:
        name, given, value = word.partition("=")
        letter, values = self._named(name)
        if given and not values:
            raise OddError
        if not given and values in (":", ":+"):
            return letter, self.take()
        return letter, value if given else None

    def _named(self, name: str) -> tuple[str, str]:
        if name in self.long:
            return self.long[name]
        fitting = {one for full, one in self.long.items() if full.startswith(name)}
        if len(fitting) != 1:
            raise OddError
        return fitting.pop()
