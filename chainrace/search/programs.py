"""What programs other than iptables read and write. What is not known here touches everything."""

import posixpath
import re
from collections.abc import Callable

from chainrace.model.trial import Call
from chainrace.search.command import TABLES
from chainrace.search.options import OddError, Words, long_options
from chainrace.search.resources import (
    ALL_PARTS,
    EVERYTHING,
    NFT_ALL,
    OF_NFT,
    PARTS,
    Footprint,
    parts,
    reads,
    writes,
)

# Files that are many programs in one: which one is said by the name that they are called by.
MANY_IN_ONE = frozenset({"busybox", "toybox", "coreutils"})
OTHER_FILES = {
    "awk": {"gawk", "mawk", "nawk", "original-awk"},
    "egrep": {"grep"},
    "fgrep": {"grep"},
    "[": {"test"},
}
# Programs that look at nothing but their input and the files that they are given.
_PURE = """
sleep true false echo printf cat grep egrep fgrep sed awk gawk mawk cut tr sort uniq head tail wc
tee mkdir rmdir rm cp mv ln touch chmod chown date basename dirname seq expr test [ env nice timeout
mktemp stat ls cmp diff sha256sum md5sum xargs find logger id uname hostname nproc getconf dd
install readlink realpath
"""
PURE = frozenset(_PURE.split())
_WRITERS = """
rm rmdir cp mv ln touch chmod chown tee install dd mkdir mktemp uniq
"""
WRITERS = frozenset(_WRITERS.split())
# Those that look at whole trees of files.
TREES = WRITERS | {"find", "ls", "diff", "stat", "grep", "egrep", "fgrep"}
# The options that make a program write to a file: sed -ni, sort -o, find -delete.
WRITES = {"sed": r"-\w*i|--i", "sort": r"-\w*o|--o", "find": r"-(delete|fprint|fls)"}
# Where kubelet, systemd and the kernel can be seen: /proc/net, /sys, kubelet.conf
ELSEWHERE = re.compile(
    r"/(?:proc|sys)(?![\w-])|/dev/(?:tcp|udp)|/inet/|/run/systemd|/var/(?:log|run|lib/kubelet)"
    r"|kubelet|cgroup"
)
LOCK_FILE = "xtables.lock"
ABOVE = frozenset({"/", "/var", "/var/lib", "/run"})  # what such places lie in
UP = re.compile(r"(?:^|/)\.\.(?:/|$)")  # ../x
_SYSTEM = r"/(?:usr|bin|sbin|lib\w*|etc|opt|boot|dev)(?![\w.-])"  # /usr/bin /lib64
SYSTEM = re.compile(_SYSTEM)
# /etc/iptables/rules.v4 /dev/null: the script's own, or nobody's.
HARMLESS = re.compile(
    r"/etc/(?:systemd/scripts|iptables|sysconfig)(?:/|$)"
    r"|/dev/(?:null|zero|u?random|stdin|stdout|stderr|fd|tty)(?![\w.-])"
)
# What sed and awk write from within their own language: s/a/b/w /etc/x, print > "/etc/x"
FROM_WITHIN = {"sed": rf"[wW]\s*{_SYSTEM}", **dict.fromkeys(("awk", "gawk", "mawk"), "^[^/]|>")}
SETS_THE_CLOCK = re.compile(r"-[uR]*s|--s|\d{8}")  # -s, --set=10:00, 01020304
ASKS_THE_NAME = re.compile("-[IifsdAa]|--(?:fqdn|long|short|ip-address|all-ip-addresses)")  # -I


def footprint(call: Call) -> Footprint:
    """What a program touches that is none of a network namespace's alone."""
    if not _genuine(call):
        return EVERYTHING
    if call.program in PURE:
        return _pure(call)
    if call.program == "sysctl":
        made = _sysctl(call.arguments)
        return Footprint() if call.foreign and made != EVERYTHING else made
    known = OTHERS.get(call.program)
    return EVERYTHING if known is None or call.foreign else known(call.arguments)


def of_network(call: Call) -> Footprint | None:
    """What nft or ip touches; None for other programs."""
    if not _genuine(call):
        return None
    if call.program == "ip":
        return writes("sysctl")
    return _nft(call.arguments) if call.program == "nft" else None


def _genuine(call: Call) -> bool:
    """Whether the file is the one that the name stands for, as far as is known."""
    files = {"", call.program} | MANY_IN_ONE | OTHER_FILES.get(call.program, set())
    return call.exe in files


def _pure(call: Call) -> Footprint:
    words = call.arguments
    looks = any(ELSEWHERE.search(word) or LOCK_FILE in word for word in words)
    above = call.program in TREES and any(posixpath.normpath(word) in ABOVE for word in words)
    sets = (call.program == "date" and any(SETS_THE_CLOCK.match(word) for word in words)) or (
        call.program == "hostname" and not all(ASKS_THE_NAME.fullmatch(word) for word in words)
    )
    if looks or above or sets or _changes_the_system(call):
        return EVERYTHING
    return writes("files")


def _changes_the_system(call: Call) -> bool:
    words = call.arguments
    option = WRITES.get(call.program)
    changes = option is not None and any(re.match(option, word) for word in words)
    if (changes or call.program in WRITERS) and any(_of_the_system(word) for word in words):
        return True
    within = FROM_WITHIN.get(call.program)
    return within is not None and any(
        re.search(within, word) and _of_the_system(word, anywhere=True) for word in words
    )


def _of_the_system(word: str, *, anywhere: bool = False) -> bool:
    """Whether a word may name a file that programs and units are made of."""
    if UP.search(word):
        return True
    if word.startswith("/") and not anywhere:
        word = posixpath.normpath("/" + word.lstrip("/"))
        found = SYSTEM.match(word)
        return found is not None and not HARMLESS.match(word)
    return any(not HARMLESS.match(word, found.start()) for found in SYSTEM.finditer(word))


# A setting of the network, in both ways to write it: net.ipv4.ip_forward=1, net/core/somaxconn
SETTING = re.compile(r"net((?:\.[\w-]+)+|(?:/[\w-]+)+)(?:=.*)?", re.DOTALL)
# -qw; not -p, which reads files, nor -a, which shows all
OF_SYSCTL = re.compile(r"-[wqenNb]+|--(?:write|quiet|ignore|values|names)")
OWN_SETTING = re.compile(r".(?:ipv4|ipv6|core|unix).(?!netfilter)")  # .ipv4.ip_forward


def _sysctl(words: tuple[str, ...]) -> Footprint:
    names = [SETTING.fullmatch(word) for word in words if not OF_SYSCTL.fullmatch(word)]
    found = [name[1] for name in names if name]
    if not found or len(found) != len(names):
        return EVERYTHING
    if all(OWN_SETTING.match(name) for name in found):
        return writes("sysctl")
    # Others are there only once a rule has asked for their module: net.netfilter.nf_conntrack_max
    return writes("sysctl") | Footprint(reads=ALL_PARTS)


# What `list` and `save` show; a list counts the rules that name a set.
SHOWS_SETS = frozenset({"list", "save", "test", "-L", "-S", "-T", "--list", "--save", "--test"})
CHANGES_SETS = frozenset({"add", "del", "create", "flush", "-A", "-D", "-N", "-F"})


def _ipset(words: tuple[str, ...]) -> Footprint:
    action = next((word for word in words if word not in ("-exist", "-!", "-q", "-quiet")), "")
    if any(word in ("-f", "-file") for word in words):
        return EVERYTHING
    if action in SHOWS_SETS:
        return reads("sets", *ALL_PARTS)
    if action in CHANGES_SETS:
        return writes("sets")
    # No set is destroyed or renamed that a rule names.
    return writes("sets") | Footprint(reads=ALL_PARTS | {"files"})


OF_NFT_SHORT = "hvVcf:iI:D:d:jsatSNunyapTeo"
OF_NFT_LONG = """
help=h version=v check=c file=f: interactive=i includepath=I: define=D: debug=d: json=j stateless=s
terse=t service=S reversedns=N guid=u numeric=n numeric-priority=y numeric-protocol=p
numeric-time=T handle=a echo=e optimize=o
"""
# add rule inet mine input: what is changed, in a table of which family.
OBJECT = re.compile(
    r"(?:add|create|insert|replace|delete|destroy|flush)\s+"
    r"(?:table|chain|rule|set|map|element|flowtable|counter|quota|limit)\s+"
    r"(?:(ip|ip6|inet|arp|bridge|netdev)\s+)?"
    r"(?!(?:handle|ip|ip6|inet|arp|bridge|netdev)\b)([A-Za-z_][\w./-]*)(?=\s|$)"
)
ANOTHER = re.compile(r"[;\n\r\\\"'$#`]")  # add table a; delete table b
SWITCHES = re.compile(r"-[asnjyNpTtSeu]+")  # list ruleset -a
FAMILY = {"ip": "ipv4", "ip6": "ipv6"}


def _nft(words: tuple[str, ...]) -> Footprint:
    reader = Words(words, OF_NFT_SHORT, long_options(OF_NFT_LONG))
    dry = asking = False
    text: list[str] = []
    try:
        for letter, value in reader.options():
            asking |= letter in ("h", "v", "V")
            dry |= letter == "c"
            if letter in ("f", "i", "I", "D"):
                text = [";"]  # commands that are not seen
            if not letter:
                text += [value or "", *reader.rest()]
                break
    except OddError:
        return NFT_ALL
    if asking:
        return Footprint()
    made = _nft_commands(text)
    if dry and not any(word.startswith("-") for word in text):
        # It asks the kernel whether all this could be done.
        return Footprint(reads=OF_NFT | {"files"})
    return made


def _nft_commands(words: list[str]) -> Footprint:
    odd = [word for word in words[1:] if re.match(r"-\D", word)]
    text = " ".join(words).strip()
    block = text.partition("{")
    if ANOTHER.search(block[0]) or not _one_block(block[2]):
        return NFT_ALL
    if re.match(r"list\s", text) and all(SWITCHES.fullmatch(word) for word in odd):
        return Footprint(reads=OF_NFT)
    found = OBJECT.match(block[0])
    if odd or not found:
        return NFT_ALL
    family = FAMILY.get(found[1] or "ip")
    if family and found[2] in TABLES:
        return Footprint(writes=parts(family, (found[2],), PARTS))
    return writes("nft")


def _one_block(text: str) -> bool:
    """Whether nothing stands behind `type filter hook input priority 0; }`, which was opened."""
    depth = 1
    for at, letter in enumerate(text):
        depth += (letter == "{") - (letter == "}")
        if depth == 0 and text[at + 1 :].strip():
            return False
    return not text or (depth == 0 and not re.search("[\"'`$#\\\\]", text))


UNIT_READS = ("life/k", "life/x", "units")
SHOWS_UNITS = re.compile(r"is-\w[\w-]*|status|show|cat|list-[\w-]+")  # is-active
_CHANGES = """
start stop restart reload try-restart reload-or-restart try-reload-or-restart enable disable
reenable mask unmask reset-failed
"""
CHANGES_UNITS = frozenset(_CHANGES.split())
# What kubelet depends on, or is part of; and patterns of names: containerd, system.slice, kube*
KUBELETS_UNIT = re.compile(
    r"kubelet|containerd|docker|cri-?o|^systemd-|dbus|network|[*?\[]"
    r"|\.(?:target|slice|scope|mount|automount|swap|device)$",
    re.IGNORECASE,
)
SYSTEMCTL_FLAGS = re.compile(
    r"--(?:now|quiet|no-block|no-pager|no-legend|no-ask-password|no-reload|no-wall|no-warn|full"
    r"|runtime|plain|value|wait)|-[ql]+"
)  # --no-block, -q
# --property=ActiveState, -pActiveState; or the value comes next.
SHOWN = re.compile(r"(?:--(?:property|type|state|lines|output)(?:=.*)?|-[ptnoP].*)")
VALUE_NEXT = re.compile(r"--\w+|-\w")


def _systemctl(words: tuple[str, ...]) -> Footprint:
    left = list(words)
    said: list[str] = []
    shows_only = False
    while left:
        word = left.pop(0)
        if SHOWN.fullmatch(word) or word in ("-a", "--all"):
            shows_only = True
            if VALUE_NEXT.fullmatch(word) and word not in ("-a", "--all"):
                del left[:1]
        elif not word.startswith("-"):
            said.append(word)
        elif not SYSTEMCTL_FLAGS.fullmatch(word):
            return EVERYTHING
    verb, units = (said or [""])[0], said[1:]
    if SHOWS_UNITS.fullmatch(verb):
        return reads(*UNIT_READS)
    known = (verb in CHANGES_UNITS and units) or (verb == "daemon-reload" and not units)
    if shows_only or not known or any(KUBELETS_UNIT.search(unit) for unit in units):
        return EVERYTHING
    return writes("units")


RELATES = re.compile("kubelet|conflicts|--slice|--host|--machine", re.IGNORECASE)  # -p Conflicts=x


def _systemd_run(words: tuple[str, ...]) -> Footprint:
    return EVERYTHING if any(RELATES.search(word) for word in words) else writes("units")


# --unit=iptables, -u iptables -n 20
OF_JOURNALCTL = re.compile(
    r"(?:[^-]|-[^-]|--(?:unit|no-pager|since|until|boot|output|lines|grep|quiet|reverse|priority"
    r"|identifier|dmesg|all|no-hostname|no-tail|catalog|follow|utc|full|no-full)(?:=|$)).*",
    re.DOTALL,
)


def _journalctl(words: tuple[str, ...]) -> Footprint:
    known = all(OF_JOURNALCTL.fullmatch(word) for word in words)
    return reads(*UNIT_READS) if known else EVERYTHING


def _flock(words: tuple[str, ...]) -> Footprint:
    elsewhere = any(ELSEWHERE.search(word) for word in words)
    return EVERYTHING if elsewhere else writes("lock", "files")


OTHERS: dict[str, Callable[[tuple[str, ...]], Footprint]] = {
    "ipset": _ipset,
    "systemctl": _systemctl,
    "systemd-run": _systemd_run,
    "journalctl": _journalctl,
    "flock": _flock,
}
