"""One process of iptables' family, read with the grammar that iptables itself reads it with.

Sources: iptables 1.8.11, iptables/xshared.c (do_parse), iptables-save.c, iptables-restore.c,
xtables-save.c, xtables-restore.c. What is not certain is not understood: then nothing is said of
the command.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from chainrace.model.trial import Call
from chainrace.search.extensions import EXTENSIONS, PLAIN_ONES, PROTOCOLS, UNKNOWN_TARGETS
from chainrace.search.options import OddError, Words, long_options

TABLES = ("filter", "nat", "mangle", "raw", "security")
BUILT_IN = frozenset({"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"})
NFT, LEGACY = "nft", "legacy"
TRANSLATE, XML = "-translate", "iptables-xml"

# The files that are many programs in one, and the backend that each is of.
MULTI = {"xtables-nft-multi": NFT, "xtables-legacy-multi": LEGACY, "xtables-multi": None}
ALIASES = {
    f"{word}{number}": f"{program}{tail}"
    for number, program in (("4", "iptables"), ("6", "ip6tables"))
    for word, tail in (("main", ""), ("save", "-save"), ("restore", "-restore"))
} | {"xml": XML}
# iptables, ip6tables-nft-save, iptables-restore-translate, ebtables-legacy, arptables-save
KNOWN = re.compile(
    r"(ip6?|eb|arp)tables(-nft|-legacy)?(-save|-restore)?(-translate)?|" + re.escape(XML)
)

# Options as getopt(3) writes them: a colon for a value, two for one that must be joined to it.
IPTABLES = "A:C:D:E:F::I:L::M:N:P:R:S::VX::Z::c:d:i:j:o:p:s:t:vW::46fg:h::m:nw::x"
IPTABLES_LONG = """
append=A: delete=D: check=C: insert=I: replace=R: list=L:: list-rules=S:: flush=F:: zero=Z::
new-chain=N: delete-chain=X:: rename-chain=E: policy=P: source=s: destination=d: src=s: dst=d:
protocol=p: in-interface=i: jump=j: table=t: match=m: numeric=n out-interface=o: verbose=v
wait=w:: wait-interval=W:: exact=x fragments=f version=V help=h:: line-numbers=0 modprobe=M:
set-counters=c: goto=g: ipv4=4 ipv6=6
"""
RESTORE = "bcvVthnwWM:T:"
RESTORE_LONG = """
counters=c verbose=v version=V test=t help=h noflush=n modprobe=M: table=T: ipv4=4 ipv6=6
wait=w:: wait-interval=W::
"""
SAVE = "bcdt:M:f:V"
SAVE_LONG = "counters=c dump=d table=t: modprobe=M: file=f: version=V"

# What stands after an action: c a chain, n a number, w a word; with ? it may be left out.
ACTIONS = {
    "A": "c",
    "C": "c",
    "D": "cn?",
    "I": "cn?",
    "R": "cn",
    "E": "cw",
    "P": "cw",
    "L": "c?n?",
    "S": "c?n?",
    "Z": "c?n?",
    "F": "c?",
    "X": "c?",
    "N": "c",
}
TOGETHER = ({"L", "Z"}, {"S", "Z"})  # that may stand in one command
# What belongs to a rule.
OF_A_RULE = frozenset("pdsijogmf")

# 10.0.0.1 0.0.0.0/0 10.0.0.0/255.0.0.0,::1/128 fe80::/10: no name that is to be looked up.
ADDRESS = r"(?:\d[\d.]*|[\da-fA-F.]*:[\da-fA-F:.]*)(?:/[\da-fA-F:.]+)?"
ADDRESSES = re.compile(f"{ADDRESS}(?:,{ADDRESS})*")
NUMBER = re.compile(r"[1-9]\d{0,8}")  # 3
SECONDS = re.compile(r"\d+")  # 5
# How a save or a restore is asked, and what is to be printed.
FLAGS = {"t": "dry", "n": "noflush", "c": "counters", "v": "verbose"}
OUTPUT = {"v": "verbose", "x": "counters", "n": "numeric"}


@dataclass(frozen=True)
class Command:
    """What one process of iptables' family was asked to do.

    `actions` are in their short form, `-A`. `asking`: it tells its version or its usage, and
    ends. `dry`: it only tries. `file`: what a restore reads or a save writes, where one is named.
    `plain_rule`: nothing that the rule names lies outside its table (true where there is no rule).
    """

    program: str  # ip6tables-save: without the backend
    backend: str | None  # nft or legacy, where that is known
    family: str
    tables: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    chain: str | None = None
    number: str | None = None
    rule: tuple[str, ...] = ()
    jump: str | None = None
    plain_rule: bool = True
    asking: bool = False
    dry: bool = False
    noflush: bool = False
    counters: bool = False  # it prints or sets them
    verbose: bool = False
    numeric: bool = False
    file: str | None = None

    @property
    def saves(self) -> bool:
        return self.program.endswith("-save")

    @property
    def restores(self) -> bool:
        return self.program.endswith("-restore")

    @property
    def translates(self) -> bool:
        """It only prints another text for its input."""
        return self.program.endswith(TRANSLATE) or self.program == XML


@dataclass(frozen=True)
class Called:
    """A program by the name that it takes itself to be called by, and its words."""

    name: str
    backend: str | None
    words: tuple[str, ...]


def called(call: Call) -> Called | None:
    """Which program of xtables' it is; None where it is none, or not certainly one."""
    name, words = call.program, call.arguments
    if call.exe in MULTI or (not call.exe and name in MULTI):
        backends = {MULTI[call.exe or name]}
        if name not in ALIASES and not KNOWN.fullmatch(name):  # its first argument is its name
            if not words:
                return None
            name, words = words[0], words[1:]
        name = ALIASES.get(name, name)
    else:
        backends = {_backend(call.exe)}
        if call.exe and _bare(call.exe) != _bare(name):
            return None
    backends = (backends | {_backend(name)}) - {None}
    if not KNOWN.fullmatch(name) or len(backends) > 1:
        return None
    return Called(_bare(name), next(iter(backends), None), words)


def _bare(name: str) -> str:
    """A name without its backend: ip6tables-save for ip6tables-legacy-save."""
    return re.sub("-(?:nft|legacy)", "", name)


def _backend(name: str) -> str | None:
    return next((one for one in (NFT, LEGACY) if f"-{one}" in name), None)


@cache
def parse(call: Call) -> Command | None:
    """Read a process of iptables, ip6tables and what belongs to them.

    None where it is none of these, or where a word of it is not understood.
    """
    found = called(call)
    if found is None or not found.name.startswith("ip"):
        return None
    family = "ipv6" if found.name.startswith("ip6") else "ipv4"
    command = _Draft(found.name, found.backend, family)
    try:
        if command.name.endswith(TRANSLATE) or command.name == XML:
            return command.done()
        if command.name.endswith(("-save", "-restore")):
            return _save_or_restore(command, found.words)
        return _Rules(command, found.words).read()
    except OddError:
        return None


@dataclass
class _Draft:
    """A command that is being read."""

    name: str
    backend: str | None
    family: str
    found: dict[str, Any] = field(default_factory=dict)

    def done(self, **more: Any) -> Command:
        return Command(self.name, self.backend, self.family, **self.found, **more)

    def table(self, name: str) -> None:
        """Take in the table that is named; two that differ are odd."""
        if name not in TABLES or self.found.get("tables", (name,)) != (name,):
            raise OddError
        self.found["tables"] = (name,)


def _save_or_restore(command: _Draft, words: tuple[str, ...]) -> Command:
    restores = command.name.endswith("-restore")
    texts = (RESTORE, RESTORE_LONG) if restores else (SAVE, SAVE_LONG)
    reader = Words(words, texts[0], long_options(texts[1]))
    found = command.found
    for letter, value in reader.options():
        if letter in ("V", "h"):
            return command.done(asking=True)
        if letter in ("M", "4", "6") or (not letter and ("file" in found or not restores)):
            raise OddError  # a program that it may start; or the other family, in older versions
        if letter in ("", "f"):
            found["file"] = value
        elif letter == "T" or (letter == "t" and not restores):
            command.table(value or "")
        elif letter in ("w", "W") and value is None and reader.more():
            reader.take()
        elif letter in FLAGS:
            found[FLAGS[letter]] = True
    return command.done() if "tables" in found else command.done(tables=TABLES)


class _Rules:
    """Reads a command of iptables itself: what do_parse() of iptables/xshared.c does."""

    def __init__(self, command: _Draft, words: tuple[str, ...]) -> None:
        self._command = command
        self._found = command.found
        self._words = Words(words, IPTABLES, long_options(IPTABLES_LONG))
        self._actions: list[str] = []
        self._rule: list[str] = []
        self._plain = True
        self._inverted = False

    def read(self) -> Command:
        """Read all of it."""
        for letter, value in self._words.options():
            if letter in ("V", "h"):
                return self._command.done(asking=True)
            if not letter:
                self._invert(value)
                continue
            if letter in ACTIONS:
                self._act(letter, value)
            elif letter.startswith("+") or letter in OF_A_RULE:
                self._rule += ["!"] * self._inverted
                self._describe(letter, value)
            else:
                self._set(letter, value)
            self._inverted = False
        if self._inverted or not self._actions:
            raise OddError
        if len(self._actions) > 1 and set(self._actions) not in TOGETHER:
            raise OddError
        self._found.setdefault("tables", ("filter",))
        actions = tuple(f"-{letter}" for letter in self._actions)
        return self._command.done(actions=actions, rule=tuple(self._rule), plain_rule=self._plain)

    def _invert(self, word: str | None) -> None:
        if word != "!" or self._inverted:
            raise OddError
        self._inverted = True

    def _keep(self, name: str, value: str) -> None:
        """Take in what may be said once."""
        if self._found.setdefault(name, value) != value:
            raise OddError

    def _act(self, letter: str, value: str | None) -> None:
        if letter in self._actions:
            raise OddError
        self._actions.append(letter)
        for kind, optional in re.findall(r"(\w)(\??)", ACTIONS[letter]):  # c, n?
            if value is None and not self._words.more():
                if optional:
                    return
                raise OddError
            word = self._words.take() if value is None else value
            value = None
            if kind == "c":
                self._keep("chain", word)
            elif kind == "n":
                if not NUMBER.fullmatch(word):
                    raise OddError
                self._keep("number", word)

    def _describe(self, letter: str, value: str | None) -> None:
        """Take in a match, a target, or an option of one."""
        extended = letter.startswith("+")
        self._rule.append(f"--{letter[1:]}" if extended else f"-{letter}")
        if value is None:
            return
        if value == "!":
            raise OddError  # older versions read `-s ! address` as `! -s address`
        self._rule.append(value)
        if extended:
            if self._words.long[letter[1:]][1] == ":+":
                if not self._words.more():
                    raise OddError
                self._rule.append(self._words.take())
        elif letter in "sd":
            # A name is looked up elsewhere.
            self._plain &= bool(ADDRESSES.fullmatch(value))
        else:
            self._extend(letter, value)

    def _extend(self, letter: str, value: str) -> None:
        if letter in "jg":
            self._keep("jump", value)
            if letter == "j" and value in EXTENSIONS.keys() | UNKNOWN_TARGETS:
                self._load(value)
        elif letter == "m":
            self._load(PROTOCOLS.get(value, value))
        elif letter == "p":
            name = PROTOCOLS.get(value.lower(), value.lower())
            if name in EXTENSIONS:
                self._load(name)

    def _load(self, name: str) -> None:
        """From here on the options of a match or target are known too."""
        if name not in EXTENSIONS:
            raise OddError
        self._plain &= name in PLAIN_ONES
        for option, meaning in EXTENSIONS[name].items():
            # Options of iptables itself come first; of two others that differ nobody knows.
            if self._words.long.setdefault(option, meaning)[1] != meaning[1]:
                raise OddError

    def _set(self, letter: str, value: str | None) -> None:
        if letter == "t" and not self._inverted:
            self._command.table(value or "")
        elif letter in "wW":
            if value is None and self._words.more():
                value = self._words.take()
            if not SECONDS.fullmatch("0" if value is None and letter == "w" else value or ""):
                raise OddError
        elif letter == "c":
            one, _, other = (value or "").partition(",")
            if not all(SECONDS.fullmatch(n) for n in (one, other or self._words.take())):
                raise OddError
            self._found["counters"] = True
        elif letter in OUTPUT:
            self._found[OUTPUT[letter]] = True
        elif letter not in ("0", {"ipv4": "4", "ipv6": "6"}[self._command.family]):
            # -M is a program that it may start; -6 of iptables an error, or means ip6tables.
            raise OddError
