"""Looks at a script of the user's before any node is brought up for it.

What can be seen on the host is refused here: no command in it, no program that could run it, a
mistake that its shell meets before it has run anything. A shell executes a script as it reads
it, so what stands above a later mistake is done: such a script is raced, with a remark.
"""

import hashlib
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chainrace.base.errors import UsageError, in_one_line
from chainrace.base.files import read_input

# The kernel looks no further for what is to run a script (BINPRM_BUF_SIZE).
FIRST_LINE = 256
# A self-extracting script carries its load behind its text.
HEAD = 4096
SHELLS = frozenset({"sh", "bash", "dash"})
# `bash: line 8: syntax error near ...` and `sh: 8: Syntax error: ...`
LINE = re.compile(r"^(?:\S+: )?(?:line )?(\d+): (.*)$")
SHELL_SECONDS = 10
# For all looks at one script together: one of thousands of lines is not looked through.
LOOKS_SECONDS = 20


@dataclass(frozen=True)
class Mistake:
    """What a shell says of a script that it cannot read to its end; line 0: it named none."""

    line: int
    said: str


def identity(data: bytes) -> str:
    """Twelve hexadecimal digits that stand for a script's text: of its SHA-256."""
    return hashlib.sha256(data).hexdigest()[:12]


def look_at(file: Path) -> str:
    """A remark on a script of the user's, empty where there is none.

    Raises UsageError for a file that is no script, or of which nothing would ever run.
    """
    data = read_script(file)
    if why := at_sight(data):
        raise UsageError(f"{file} {why}", "mend it, or name another script")
    remark, refused = look(data)
    if refused:
        raise UsageError(
            f"{file}: nothing of it would ever run: {remark}", "mend it, or name another script"
        )
    return remark


def at_sight(data: bytes) -> str:
    """Why a text that begins with #! is no script that could run; empty where it may be one."""
    first, _, rest = data.partition(b"\n")
    if len(first) >= FIRST_LINE:
        return f"has a first line of {len(first)} bytes: the kernel reads {FIRST_LINE - 1}"
    words = first.decode(errors="replace").removeprefix("#!").strip(" \t").split(None, 1)
    program, arguments = words[0], words[1].strip() if words[1:] else ""
    if not program.startswith("/") or program.endswith("/"):
        return f"is to be run by {program!r}: that is no path of a program, as /bin/sh is one"
    if _name(program) == "env" and (why := _by_env(program, arguments)):
        return why
    if b"\0" in data[:HEAD]:
        return "has binary data in it"
    if not any(_commands(rest.decode(errors="replace").splitlines())):
        return "has no command in it"
    return ""


def _by_env(program: str, arguments: str) -> str:
    """Why env(1) would find no program; empty where it may."""
    if not arguments:
        return f"names no program for {program} to look up"
    if " " in arguments and not arguments.startswith("-"):
        # The kernel hands on all that follows as one word.
        return f"has {program} look for a program called {arguments!r}: write {program} -S"
    return ""


def shell_of(first_line: str) -> str:
    """The shell that a script's first line names: sh, bash, dash; empty for anything else."""
    words = first_line.removeprefix("#!").split()
    if words and _name(words[0]) == "env":
        # env -S bash -e; FOO=1 is for the program, too
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    name = _name(words[0]) if words else ""
    return name if name in SHELLS else ""


def look(data: bytes) -> tuple[str, bool]:
    """What the script's own shell says of it, and whether that is enough to refuse it.

    Where this machine has no such shell, nothing.
    """
    # Not str.splitlines, which ends lines where no shell does.
    lines = re.findall(r"[^\n]*\n|[^\n]+", data.decode(errors="surrogateescape"))
    shell = shell_of(lines[0])
    readers = readers_of(shell, "".join(lines))
    mistakes = [read(reader, lines) for reader in readers]
    if not mistakes or any(one is None for one in mistakes):
        # Where `sh` is another shell than here, it may be none.
        return "", False
    mistake = mistakes[0]
    assert mistake is not None  # noqa: S101 - for the type
    where = f"line {mistake.line}" if mistake.line else "the script"
    if not any(_runs_something(reader, lines) for reader in readers):
        return f"{shell} finds a mistake in {where} ({mistake.said})", True
    return (
        f"{shell} finds a mistake in {where}: what stands above it is executed ({mistake.said})",
        False,
    )


def readers_of(shell: str, text: str) -> list[list[str]]:
    """The calls that can say whether a shell takes a script, of those that this machine has.

    `sh` is dash on Debian and bash on Azure Linux: what one of them takes is no mistake.
    """
    # A shell that is only read takes no `shopt -s extglob` from the script itself.
    more = ["-O", "extglob"] if "extglob" in text else []
    calls = {
        "": [],
        "dash": [["dash", "-n"]],
        "bash": [["bash", *more, "-n"]],
        "sh": [["sh", "-n"], ["bash", *more, "-n"]],
    }
    return [call for call in calls[shell] if shutil.which(call[0])]


def read(reader: Sequence[str], lines: Sequence[str]) -> Mistake | None:
    """What a shell says of a script without executing it; None where it finds no mistake."""
    try:
        done = subprocess.run(
            reader,
            input="".join(lines).encode(errors="surrogateescape"),
            capture_output=True,
            check=False,
            timeout=SHELL_SECONDS,
            # Nothing of the caller's: BASH_ENV names a file that would be executed.
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode == 0:
        return None
    said = done.stderr.decode(errors="replace").splitlines()
    told = in_one_line(said[0]) if said else f"{shlex.join(reader)} ended with {done.returncode}"
    found = LINE.match(told)
    return Mistake(int(found[1]), found[2]) if found else Mistake(0, told)


def _runs_something(reader: Sequence[str], lines: Sequence[str]) -> bool:
    """Whether a shell would execute something before it meets a mistake.

    It does so where some lines from the first on are whole commands. A script that takes too
    long to look through counts as one that does.
    """
    deadline = time.monotonic() + LOOKS_SECONDS
    return any(
        time.monotonic() > deadline or read(reader, prefix) is None for prefix in prefixes(lines)
    )


def prefixes(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    """The first lines of a script, ever more of them, each time with a command; never all."""
    for count in range(1, len(lines)):
        if any(_commands(lines[count - 1 : count])):
            yield lines[:count]


def _commands(lines: Sequence[str]) -> Iterator[str]:
    """Of some lines those that are neither empty nor a comment."""
    return (line for line in lines if line.strip() and not line.lstrip().startswith("#"))


def _name(program: str) -> str:
    return program.rpartition("/")[2]


def read_script(file: Path) -> bytes:
    """A script of the user's own. Raises UsageError for what is none."""
    data = read_input(file, "name a script")
    if not data.startswith(b"#!"):
        raise UsageError(f"{file} does not begin with #!", "write #!/bin/sh above it")
    # The kernel would look for a program `/bin/sh\r`, or for none.
    program = data.partition(b"\n")[0].removeprefix(b"#!").strip(b" \t")
    if not program or b"\r" in program or b"\0" in program:
        raise UsageError(
            f"{file} names no program in its first line: {program!r}",
            "write #!/bin/sh there, with a plain line end",
        )
    return data
