"""Lines of a node's console and journal that say that something is wrong with it.

They are looked for after every run, also one that passed: a node that starves or loses its
disk gives outcomes that mean nothing. What is found stands in the verdict; it does not
change its word. Each pattern stands beside a line that it matches.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bad:
    """A pattern, what it means for the node's user, and a sample line."""

    pattern: re.Pattern[str]
    means: str
    sample: str


@dataclass(frozen=True)
class BadLine:
    """What of a node's text matched, how often, and the first such line.

    `expected` is why it is no fault here, where a scenario says so.
    """

    node: str
    means: str
    times: int
    first: str
    expected: str = ""


@dataclass(frozen=True)
class Expected:
    """Known-bad lines that have this text in them are expected, for a reason."""

    line: str
    reason: str


TABLE = (
    Bad(
        re.compile(r"Kernel panic - not syncing"),
        "the kernel gave up",
        "[  12.3] Kernel panic - not syncing: Fatal exception in interrupt",
    ),
    Bad(
        re.compile(r"\b(?:Oops|BUG|general protection fault)\b(?!.*soft lockup)"),
        "the kernel made an error",
        "[  12.3] general protection fault, probably for non-canonical address 0xdead: 0000 [#1]",
    ),
    Bad(
        re.compile(r"soft lockup - CPU#\d+ stuck|rcu: INFO: .* detected stalls"),
        "a processor did not come to its work: the host is too busy for this node",
        "[  99.9] watchdog: BUG: soft lockup - CPU#1 stuck for 23s! [kubelet:800]",
    ),
    Bad(
        re.compile(r"task .* blocked for more than \d+ seconds"),
        "a process waited very long for its disk",
        "[ 250.1] INFO: task containerd:512 blocked for more than 120 seconds.",
    ),
    Bad(
        re.compile(r"Out of memory: Killed process|oom-kill:"),
        "the node ran out of memory: node.memory_mib in lab.toml",
        "[  88.0] Out of memory: Killed process 800 (kubelet) total-vm:1300000kB",
    ),
    Bad(
        re.compile(r"No space left on device"),
        "the node's disk is full",
        "systemd-journald[200]: Failed to write entry: No space left on device",
    ),
    Bad(
        re.compile(r"EXT4-fs error|Buffer I/O error|I/O error, dev"),
        "the node's disk fails",
        "[  40.0] EXT4-fs error (device vda): ext4_lookup:1855: inode #2: comm sh",
    ),
    Bad(
        re.compile(r"segfault at|traps: .* trap"),
        "a program crashed",
        "[  31.0] iptables[900]: segfault at 0 ip 00007f error 4 in libxtables.so.12",
    ),
    Bad(
        re.compile(r"Another app is currently holding the xtables lock"),
        "an iptables program did not get its lock: what it was to do was not done",
        "Another app is currently holding the xtables lock. Perhaps you want to use -w?",
    ),
    Bad(
        re.compile(r"Clocksource .* skewed|Marking clocksource .* as unstable"),
        "the node's clock is not to be trusted",
        "[  20.0] clocksource: timekeeping watchdog: Marking clocksource 'tsc' as unstable",
    ),
    Bad(
        re.compile(r"Unable to mount root fs|Entering emergency mode|Dependency failed for"),
        "the node did not boot as it should",
        "You are in emergency mode. Entering emergency mode. Exit the shell to continue.",
    ),
    Bad(
        re.compile(r"Failed to start (?:containerd|kubelet)"),
        "a program that kubelet's start needs did not start",
        "systemd[1]: Failed to start containerd.service - containerd container runtime.",
    ),
)


def known_bad_lines(node: str, text: str, expected: Sequence[Expected] = ()) -> list[BadLine]:
    """What a node's text has that is known to be bad: what is not expected first, by the table."""
    found: dict[tuple[str, int], list[str]] = {}
    for line in text.splitlines():
        reason = next((one.reason for one in expected if one.line in line), "")
        for number, bad in enumerate(TABLE):
            if bad.pattern.search(line):
                found.setdefault((reason, number), []).append(line.strip())
    return [
        BadLine(node, TABLE[number].means, len(lines), lines[0], reason)
        for (reason, number), lines in sorted(found.items())
    ]
