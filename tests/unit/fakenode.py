"""A made-up node behind the agent's line: ordered rules, and actors that act on their answers.

kubelet and the script are Python generators: they yield what they execute and receive its exit
code and what it wrote. Where each of them is follows from the answers that it was given, so a
copy of these is a copy of the whole node. What it shows has the shape of `Stepping.view`
(chainrace/gate/stepping.py).
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from chainrace.model import protocol
from chainrace.model.actors import SCRIPT_LANES
from chainrace.model.protocol import Arm, Clock, Release, Walk, Watch, name_of
from chainrace.model.rules import plain
from chainrace.node.agent import RefusedError
from chainrace.search.state import digest

FAMILY_OF = {"k": "ipv4", "x": "ipv6"}
PROGRAM = {"ipv4": "iptables", "ipv6": "ip6tables"}
BUILT_IN = {"filter": ("INPUT", "OUTPUT"), "mangle": ("OUTPUT",)}
TARGETS = ("ACCEPT", "DROP", "RETURN", "MARK")
EXE = "xtables-nft-multi"
OPEN_PORT = 61321
NOBODY_TO_GO_ON = "the script has not ended: a process waits, and nothing of it is held"


class Said(NamedTuple):
    """What a process was answered: its exit code, and what it wrote where that was read."""

    code: int
    text: str = ""


@dataclass(frozen=True)
class Run:
    """A command; `to` is `pipe` where its caller reads it, or a file; `source` its input.

    With `unheard` the gate could not hear what it wrote.
    """

    line: str
    to: str = ""
    source: str = ""
    stdin: str | None = None  # a text that came by a pipe
    unheard: bool = False
    shell: "Body | None" = None  # what runs in it: a step that ends when that has


@dataclass(frozen=True)
class Fork:
    """A part of the script goes on in the background."""

    body: "Body"


@dataclass(frozen=True)
class Wait:
    """Until all in the background has ended."""


@dataclass(frozen=True)
class Look:
    """The shell itself looks whether kubelet has begun: no process does."""


@dataclass(frozen=True)
class Write:
    """The shell itself writes a file."""

    path: str
    text: str


@dataclass(frozen=True)
class Read:
    """The shell itself reads a file: what it has, code 1 where there is none."""

    path: str


@dataclass(frozen=True)
class Do:
    """The script itself, where it is no shell, does something to the node."""

    act: Callable[["Node"], object]


@dataclass(frozen=True)
class Word:
    """kubelet says its word on the family."""

    word: str


Request = Run | Fork | Wait | Look | Write | Read | Do | Word
Body = Callable[[], Generator[Request, Said, int]]
Quirk = Callable[["Node"], tuple[int, str] | None]


def script(*lines: str) -> Body:
    """A script that runs some commands, whatever they answer."""

    def body() -> Generator[Request, Said, int]:
        for line in lines:
            yield Run(line)
        return 0

    return body


def kubelet(family: str) -> Body:
    """kubelet's work on a family, short: a hint, a guard with its jump, a canary."""
    program = PROGRAM[family]

    def body() -> Generator[Request, Said, int]:
        for table, chain in (("mangle", "KUBE-IPTABLES-HINT"), ("filter", "KUBE-FIREWALL")):
            said = yield Run(f"{program} -w 5 -N {chain} -t {table}")
            if said.code > 1:
                yield Word("failed")
                return 0
        jump = "INPUT -t filter -j KUBE-FIREWALL"
        said = yield Run(f"{program} -w 5 -C {jump}")
        if said.code == 1:
            said = yield Run(f"{program} -w 5 -I {jump}")
        yield Word("failed" if said.code else "initialised")
        if not said.code:
            yield Run(f"{program} -w 5 -N KUBE-KUBELET-CANARY -t mangle")
        return 0

    return body


@dataclass
class Process:
    """One that executes: `path` is how it was forked, `given` all that it was answered."""

    body: Body
    path: tuple[int, ...] = (0,)
    given: list[Said] = field(default_factory=list)
    step: int | None = None  # where it is a shell that is a step: which
    forks: int = 0
    until: int | None = None  # it waits for kubelet, in this step
    in_shell: bool = False  # it waits for a shell of its own
    _known: tuple[int, Request | int] | None = None

    @property
    def at(self) -> Request | int:
        """What it wants next, or the code that it ended with."""
        if self._known is None or self._known[0] != len(self.given):
            self._known = len(self.given), self._again()
        return self._known[1]

    def _again(self) -> Request | int:
        running = self.body()
        try:
            wanted = next(running)
            for said in self.given:
                wanted = running.send(said)
        except StopIteration as end:
            return int(end.value or 0)
        return wanted

    def copy(self) -> "Process":
        return replace(self, given=list(self.given))

    @property
    def waits(self) -> Run | None:
        """The command at which it waits."""
        ready = self.until is None and not self.in_shell
        return self.at if ready and isinstance(self.at, Run) else None


@dataclass
class Table:
    chains: dict[str, list[str]]
    policies: dict[str, str]

    def copy(self) -> "Table":
        return Table({name: list(made) for name, made in self.chains.items()}, dict(self.policies))


Rules = dict[str, dict[str, Table]]


def clean() -> Rules:
    """The image's own rules: one, in IPv4's filter."""
    rules = {
        family: {
            name: Table({one: [] for one in chains}, dict.fromkeys(chains, "ACCEPT"))
            for name, chains in BUILT_IN.items()
        }
        for family in PROGRAM
    }
    rules["ipv4"]["filter"].chains["INPUT"].append("-i lo -j ACCEPT")
    return rules


def text_of(rules: Mapping[str, Table]) -> str:
    """What iptables-save prints."""
    lines = []
    for name, table in rules.items():
        lines.append(f"*{name}")
        lines += [f":{chain} {table.policies.get(chain, '-')} [0:0]" for chain in table.chains]
        lines += [f"-A {chain} {one}" for chain, made in table.chains.items() for one in made]
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def read_text(text: str) -> dict[str, Table]:
    """What iptables-restore makes of it."""
    found: dict[str, Table] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("*"):
            name = line[1:]
            found[name] = Table({}, {})
        elif line.startswith(":"):
            chain, policy, _ = line[1:].split()
            found[name].chains[chain] = []
            if policy != "-":
                found[name].policies[chain] = policy
        elif line.startswith("-A "):
            chain, _, rule = line[3:].partition(" ")
            found[name].chains.setdefault(chain, []).append(rule)
    return found


@dataclass
class Node:
    """Everything that a snapshot keeps."""

    script: Body | None = None
    kubelets: Mapping[str, Body] = field(
        default_factory=lambda: {lane: kubelet(family) for lane, family in FAMILY_OF.items()}
    )
    lazy: tuple[str, ...] = ()
    kind: str = "shell"  # what interprets the script; empty for another than a shell
    quirks: Mapping[str, Quirk] = field(default_factory=dict)
    programs: tuple[str, ...] = (EXE,)  # what the names of iptables lead to
    unseen: tuple[str, ...] = ()  # steps of kubelet's that run past the gate
    ordered: bool = False  # kubelet's start waits for the script
    behind: str = ""  # while this command of the script's waits, systemd holds kubelet's start back
    rules: Rules = field(default_factory=clean)
    files: dict[str, str] = field(default_factory=dict)
    lanes: dict[str, Process] = field(default_factory=dict)  # kubelet's
    begun: bool = False
    choose: Callable[[], str] = lambda: "ipv4"  # kubelet's first family, at its start
    first: str = "ipv4"
    stopped: bool = False
    restarts: int = 0
    words: dict[str, str] = field(default_factory=dict)
    journal: list[str] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)  # the script's
    script_begun: bool = False
    script_code: int | None = None
    trail: list[dict[str, Any]] = field(default_factory=list)
    _answers: list[dict[str, Any]] = field(default_factory=list)
    _wrote: list[str] = field(default_factory=list)
    _read: bool = False
    _looked: set[str] = field(default_factory=set)

    def copy(self) -> "Node":
        return replace(
            self,
            rules={
                family: {name: one.copy() for name, one in tables.items()}
                for family, tables in self.rules.items()
            },
            files=dict(self.files),
            lanes={lane: one.copy() for lane, one in self.lanes.items()},
            words=dict(self.words),
            journal=list(self.journal),
            processes=[one.copy() for one in self.processes],
            trail=[dict(one) for one in self.trail],
            _answers=[],
            _wrote=[],
            _looked=set(),
        )

    @property
    def key(self) -> str:
        """All that decides what can follow, and what can be seen of it then."""
        return repr(
            (
                self.texts(),
                sorted(self.files.items()),
                [(lane, one.given) for lane, one in self.lanes.items()],
                (self.begun, self.stopped, self.restarts, self.journal, self.script_begun),
                [(one.path, one.given, one.until is None) for one in self.processes],
            )
        )

    def texts(self) -> dict[str, str]:
        return {family: text_of(tables) for family, tables in self.rules.items()}

    # Who waits, and who has done.

    def waiting(self) -> dict[str, Process | None]:
        """Each lane that can step: None for a start."""
        found: dict[str, Process | None] = {}
        if not self.begun and not (self.ordered and not self.script_ended):
            found["k"] = None
        if self.script is not None and not self.script_begun:
            found["s"] = None
        found |= {
            lane: one
            for lane, one in self.lanes.items()
            if not self.stopped
            and one.waits
            and (self._is_first(lane) or self._first_done())
            and not (self.held_back and not self._made_a_step())
        }
        ready = sorted((one for one in self.processes if one.waits), key=lambda one: one.path)
        found.update(zip(SCRIPT_LANES, ready, strict=False))
        return found

    @property
    def held_back(self) -> bool:
        waiting = (one.waits for one in self.processes)
        return bool(self.behind) and self.behind in [one.line for one in waiting if one]

    def _made_a_step(self) -> bool:
        return any(one.given for one in self.lanes.values())

    def _is_first(self, lane: str) -> bool:
        return FAMILY_OF[lane] == self.first

    def _first_done(self) -> bool:
        """kubelet works on one family after the other; its canaries come beside that."""
        return self.first in self.words

    @property
    def script_ended(self) -> bool:
        return self.script_begun and not self.processes

    def done(self, lane: str) -> bool:
        if lane in self.waiting():
            return False
        if lane in FAMILY_OF:
            return self.begun and (self.stopped or isinstance(self.lanes[lane].at, int))
        return lane != "s" or self.script is None or self.script_ended

    # What happens.

    def walk(
        self, turns: list[tuple[str, int | None]], *, most: int = 2000
    ) -> tuple[list[str], list[int]]:
        """As Stepping.walk. Raises RefusedError for a lane that cannot step."""
        made: list[str] = []
        counts = []
        for lane, steps in turns:
            count = 0
            while count != steps and not self.done(lane):
                for other in self._brought(lane):
                    self.step(other)
                    made += [other] if other not in self.lazy else []
                if lane not in self.waiting():
                    raise RefusedError(
                        NOBODY_TO_GO_ON
                        if not self.waiting()
                        else f"{lane} cannot go on before another actor has",
                        "look",
                    )
                self.step(lane)
                made.append(lane)
                count += 1
                if count > most:
                    break
            counts.append(count)
        return made, counts

    def _brought(self, lane: str) -> Iterator[str]:
        while lane in FAMILY_OF and not self.done(lane) and lane not in self.waiting():
            other = next((one for one in FAMILY_OF if one in self.waiting()), None)
            if other is None:
                return
            yield other

    def step(self, lane: str) -> None:
        """A lane's next step, until all waits again."""
        self._step(lane)
        if self.begun:
            for one in set(FAMILY_OF) - set(self.lazy):
                while not self.done(one) and one not in self.waiting():
                    others = [other for other in self.lazy if other in self.waiting()]
                    if not others:
                        break
                    self._step(others[0])

    def _step(self, lane: str) -> None:
        waiting = self.waiting()
        process = waiting[lane]
        made: dict[str, Any] = {"lane": lane, "before": self.local()}
        made |= {**self._words(lane, process), "code": None, "pid": len(self.trail) + 100}
        made |= {"started": float(len(self.trail)), "ended": None, "path": ""}
        self.trail.append(made)
        if process is None:
            made["code"] = 0
            self._begin(lane)
        elif lane in FAMILY_OF:
            run = process.waits
            assert run is not None
            made["code"], _ = self.execute(run.line)
            process.given.append(Said(made["code"]))
        else:
            self._execute_for(process, len(self.trail) - 1)
        self._settle()
        self._answers.sort(key=lambda one: int(one["step"]))
        made["answers"], self._answers = self._answers, []
        made["wrote"] = digest(sorted(self._wrote)) if self._wrote else ""
        made["read"], self._read = self._read, False
        made["looked"], self._looked = sorted(self._looked), set()
        self._wrote = []

    def _begin(self, lane: str) -> None:
        if lane == "k":
            self.begun = True
            self.first = self.choose()
            self._start_kubelet()
        else:
            self.script_begun = True
            assert self.script is not None
            self.processes.append(Process(self.script))

    def _start_kubelet(self) -> None:
        self.lanes = {lane: Process(body) for lane, body in self.kubelets.items()}
        self.words = {}
        self.stopped = False

    def _execute_for(self, process: Process, number: int) -> None:
        run = process.waits
        assert run is not None
        if run.shell is not None:
            process.forks += 1
            process.in_shell = True
            path = (*process.path, process.forks)
            self.processes.append(Process(run.shell, path, step=number))
            return
        stdin = self.files.get(run.source) if run.source else run.stdin
        if run.line.endswith("is-system-running --wait"):
            process.until = number
            return
        code, text = self.execute(run.line, stdin)
        self._answered(process, number, Said(code, text))

    def _answered(self, process: Process, number: int, said: Said) -> None:
        run = process.at
        assert isinstance(run, Run)
        heard = said.text if run.to in ("pipe", "step") else ""
        if run.to not in ("", "pipe", "step"):
            self.files[run.to] = said.text
            self._wrote.append(f"{run.to} {said.text}")
        out = digest(said.text) if run.to else ""
        if run.unheard:
            out = "unknown"
        self.trail[number]["code"] = said.code
        self._answers.append({"step": number, "code": said.code, "out": out})
        process.given.append(Said(said.code, heard))

    def _settle(self) -> None:
        """Until everybody waits at a command, has ended, or waits for another."""
        while any([*map(self._on_of_kubelet, self.lanes.items()), *self._on_of_scripts()]):
            pass

    def _on_of_kubelet(self, one: tuple[str, Process]) -> bool:
        lane, process = one
        said = process.at
        if self.stopped or not isinstance(said, Word):
            return False
        family = FAMILY_OF[lane]
        self.words[family] = said.word
        self.journal.append(f"{said.word} {family}")
        process.given.append(Said(0))
        for line in self.unseen:
            if line.startswith(f"{PROGRAM[family]} "):
                self.execute(line)
        return True

    def _on_of_scripts(self) -> list[bool]:
        ordered = sorted(self.processes, key=lambda one: one.path)
        return [self._on_of_script(one) for one in ordered]

    def _on_of_script(self, process: Process) -> bool:
        wants = process.at
        if process.until is not None:
            return self._on_after_kubelet(process)
        if isinstance(wants, int):
            self._end(process, wants)
            return True
        said = Said(0)
        if isinstance(wants, Fork):
            process.forks += 1
            self.processes.append(Process(wants.body, (*process.path, process.forks)))
        elif isinstance(wants, Wait):
            if any(one.path[:-1] == process.path for one in self.processes):
                return False
        elif isinstance(wants, Do):
            wants.act(self)
        elif isinstance(wants, Look):
            said = Said(0 if self.begun else 1)
            self._looked.add(f"/var/lib/kubelet: {-2 * said.code}")
        elif isinstance(wants, Write):
            self.files[wants.path] = wants.text
            self._wrote.append(f"{wants.path} {wants.text}")
        elif isinstance(wants, Read):
            there = wants.path in self.files
            self._read = self._read or there
            said = Said(int(not there), self.files.get(wants.path, ""))
        else:
            return False
        process.given.append(said)
        return True

    def _on_after_kubelet(self, process: Process) -> bool:
        if self.begun and not all(self.done(lane) for lane in FAMILY_OF):
            return False
        number, process.until = process.until, None
        assert number is not None
        self._answered(process, number, Said(0, "running\n"))
        return True

    def _end(self, process: Process, code: int) -> None:
        self.processes.remove(process)
        if process.step is not None:
            (parent,) = (one for one in self.processes if one.path == process.path[:-1])
            parent.in_shell = False
            self._answered(parent, process.step, Said(code))
        if process.path == (0,):
            self.script_code = code

    # What commands do.

    def execute(self, line: str, stdin: str | None = None) -> tuple[int, str]:
        """Run a command: its exit code, and what it prints."""
        if line in self.quirks and (found := self.quirks[line](self)) is not None:
            return found
        words = [word for word in line.split() if word not in ("-w", "5", "-n")]
        program = words.pop(0)
        if program in ("iptables", "ip6tables"):
            family = "ipv6" if program == "ip6tables" else "ipv4"
            return self._iptables(self.rules[family], words)
        if program.endswith(("tables-save", "tables-restore")):
            family = "ipv6" if program.startswith("ip6") else "ipv4"
            return self._saves(family, program, words, stdin, add="-n" in line.split())
        known = getattr(self, f"_run_{program}", None)
        return known(words) if known else (0, "")

    def _saves(
        self, family: str, program: str, words: list[str], stdin: str | None, *, add: bool
    ) -> tuple[int, str]:
        if program.endswith("-save"):
            named = words[words.index("-t") + 1] if "-t" in words else ""
            tables = self.rules[family]
            return 0, text_of({name: tables[name] for name in tables if named in ("", name)})
        text = self.files.get(words[0]) if words else stdin
        if text is None:
            return 1, ""
        for name, table in read_text(text).items():
            if add:
                for chain, made in table.chains.items():
                    self.rules[family][name].chains.setdefault(chain, []).extend(made)
            else:
                self.rules[family][name] = table
        return 0, ""

    def _iptables(self, tables: dict[str, Table], words: list[str]) -> tuple[int, str]:
        name = "filter"
        if "-t" in words:
            at = words.index("-t")
            name = words[at + 1]
            del words[at : at + 2]
        table = tables[name]
        action, *rest = words
        chain, rule = (rest[0] if rest else ""), rest[1:]
        code, text = 0, ""
        if action == "--version":
            text = "iptables v1.8.11 (nf_tables)\n"
        elif action in ("-N", "-X"):
            code = {"-N": self._new, "-X": self._delete}[action](table, chain)
        elif chain and chain not in table.chains:
            code = 1
        elif action in ("-S", "-L"):
            text = text_of({name: table})
        elif action == "-F":
            table.chains.update({one: [] for one in ([chain] if chain else table.chains)})
        elif action == "-P":
            table.policies[chain] = rule[0]
        else:
            code = self._rule(table, action, table.chains[chain], rule)
        return code, text

    @staticmethod
    def _new(table: Table, chain: str) -> int:
        if chain in table.chains:
            return 1
        table.chains[chain] = []
        return 0

    @staticmethod
    def _delete(table: Table, chain: str) -> int:
        mine = [one for one in table.chains if one not in table.policies]
        if chain and chain not in mine:
            return 1
        gone = [chain] if chain else mine
        named = {rule.split()[-1] for made in table.chains.values() for rule in made}
        if any(table.chains[one] or one in named for one in gone):
            return 4
        for one in gone:
            del table.chains[one]
        return 0

    @staticmethod
    def _rule(table: Table, action: str, made: list[str], words: list[str]) -> int:
        at = int(words.pop(0)) if words and words[0].isdigit() else None
        rule = " ".join(words)
        target = words[-1] if "-j" in words else ""
        there = rule in made if at is None else at <= len(made)
        code = 0
        if target and target not in (*TARGETS, *table.chains):
            code = 2
        elif action == "-A":
            made.append(rule)
        elif action == "-I":
            code = int(at is not None and at > len(made) + 1)
            if not code:
                made.insert((at or 1) - 1, rule)
        elif not there:
            code = 1
        elif action == "-D":
            del made[made.index(rule) if at is None else at - 1]
        return code

    def _run_nft(self, words: list[str]) -> tuple[int, str]:
        if words[:2] == ["flush", "ruleset"]:
            for tables in self.rules.values():
                for name, chains in BUILT_IN.items():
                    tables[name] = Table(
                        {one: [] for one in chains}, dict.fromkeys(chains, "ACCEPT")
                    )
            return 0, ""
        return 0, "".join(self.texts().values())

    def _run_systemctl(self, words: list[str]) -> tuple[int, str]:
        if words[0] == "is-active":
            active = self.begun and not self.stopped
            return (0, "active\n") if active else (3, "inactive\n")
        if words == ["restart", "kubelet"] and self.begun:
            self._start_kubelet()
            self.restarts += 1
        if words == ["start", "kubelet"] and self.stopped:
            self._start_kubelet()
            self.restarts += 1
        if words == ["stop", "kubelet"] and self.begun:
            self.stopped, self.words = True, {}
        return 0, ""

    def _run_journalctl(self, words: list[str]) -> tuple[int, str]:
        del words
        return 0, "".join(f"{line}\n" for line in self.journal)

    def _run_cat(self, words: list[str]) -> tuple[int, str]:
        return (0, self.files[words[0]]) if words[0] in self.files else (1, "")

    def _run_grep(self, words: list[str]) -> tuple[int, str]:
        return int(words[0] not in self.files.get(words[1], "")), ""

    def _run_touch(self, words: list[str]) -> tuple[int, str]:
        self.files.setdefault(words[0], "")
        self._wrote.append(words[0])
        return 0, ""

    # What can be seen.

    def local(self) -> dict[str, Any]:
        waiting = self.waiting()
        return {
            "next": {lane: self._words(lane, one) for lane, one in waiting.items()},
            "done": {lane: self.done(lane) for lane in ("k", "x", "s")},
        }

    def _words(self, lane: str, one: Process | None) -> dict[str, Any]:
        actor = "kubelet" if lane in FAMILY_OF else "script"
        words: dict[str, Any] = {"actor": actor, "kind": "", "foreign": False, "exe": ""}
        words |= {"input": "", "output": "", "source": "", "target": ""}
        if one is None:
            kind = self.kind if actor == "script" else ""
            held_back = ["behind", "a.service"] if lane == "k" and self.held_back else []
            return {**words, "program": actor, "arguments": ["begins", *held_back], "kind": kind}
        run = one.waits
        assert run is not None
        program, *arguments = run.line.split()
        if run.shell is not None:
            words["kind"] = "shell"
        if "tables" in program:
            words["exe"] = EXE
        if run.source or run.stdin is not None:
            words["input"] = "file" if run.source else "pipe"
        words["output"] = run.to if run.to in ("", "pipe", "step") else "file"
        words["source"] = run.source
        words["target"] = run.to if words["output"] == "file" else ""
        return {**words, "program": program, "arguments": arguments}

    @property
    def guard(self) -> list[int]:
        """Whether a neighbour's packet passes kubelet's guard."""
        for rule in self.rules["ipv4"]["filter"].chains["INPUT"]:
            if rule == "-j KUBE-FIREWALL":
                return []
            if rule == "-j ACCEPT":
                break
        return [OPEN_PORT]

    def view(self, *, rules_too: bool, evidence: bool, places: bool) -> Any:
        mine = next((one for one in self.trail if "-N" in one["arguments"] and _is(one)), None)
        seen: dict[str, Any] = {
            "commands": [
                {**one, "before": one["before"] if places else None} for one in self.trail
            ],
            **self.local(),
            "first_family": None
            if mine is None
            else ("ipv6" if "ip6" in mine["program"] else "ipv4"),
            "restarts": self.restarts,
            "stopped": self.stopped,
            "words": dict(self.words),
            "script_code": self.script_code,
            "beginning": 0.0,
            "doubts": [],
            "reading": 0.0,
        }
        if rules_too:
            seen |= {"rules": self.texts(), "lock": "", "programs": list(self.programs)}
        if evidence:
            seen |= {"journal": list(self.journal), "guard": self.guard, "check": 0}
        return seen


def _is(one: Mapping[str, Any]) -> bool:
    return bool(one["actor"] == "kubelet")


class FakeAgent:
    """Answers as chainrace/gate does. `firsts` are kubelet's choices, start after start."""

    survives_restore = True

    def __init__(
        self, body: Body, firsts: tuple[str, ...] = (), *, ordered: bool = False, **more: Any
    ) -> None:
        """`more` is about each node that is armed: quirks, kubelets, unseen."""
        self.body = body
        self.ordered = ordered
        self.firsts = list(firsts)
        self.more = more
        self.node = Node()
        self.asked: list[str] = []
        self.turns: list[list[tuple[str, int | None]]] = []
        self.broken = 0  # so many walks more are refused
        self.doubts: list[str] = []
        self.before_walk: Callable[[], None] = lambda: None

    def ask(self, request: protocol.Request[Any], *, timeout: float) -> Any:
        assert timeout > 0
        self.asked.append(name_of(request))
        if isinstance(request, Arm):
            self._arm(request)
        elif isinstance(request, Walk):
            return self._walk(request)
        elif isinstance(request, Watch):
            looked = {family: True for family, word in self.node.words.items() if word != "failed"}
            seen = self.node.view(rules_too=True, evidence=True, places=False)
            return {"looked": looked, "seconds": 0.0, **seen}
        else:
            assert isinstance(request, Release | Clock)
        return None

    def break_off(self) -> None:
        self.asked.append("break")

    def _arm(self, asked: Arm) -> None:
        assert asked.limit > 0
        assert asked.program is asked.other is None
        assert not asked.boot
        # Fresh or not: the rules are the clean ones in any case, the disk is what it was left.
        self.node = Node(
            script=None if asked.script is None else self.body,
            lazy=tuple(asked.lazy),
            ordered=self.ordered,
            choose=lambda: self.firsts.pop(0) if self.firsts else "ipv4",
            files=dict(self.node.files),
            **self.more,
        )

    def _walk(self, asked: Walk) -> dict[str, Any]:
        assert asked.entropy
        assert asked.seconds is None or asked.seconds > 0
        self.before_walk()
        self.turns.append(asked.turns)
        if self.broken:
            self.broken -= 1
            raise RefusedError("kubelet ended with 1 in the middle", "look")
        made, counts = self.node.walk(asked.turns)
        view = self.node.view(
            rules_too=asked.rules_too, evidence=asked.evidence, places=asked.places
        )
        return {"made": made, "counts": counts, **view, "doubts": list(self.doubts)}


class FakeSnapshots:
    """Copies of the made-up node."""

    def __init__(self, agent: FakeAgent) -> None:
        self.agent = agent
        self.kept: dict[str, Node] = {"pristine": agent.node.copy()}
        self.most = 0

    def save(self, name: str) -> None:
        self.kept[name] = self.agent.node.copy()
        self.most = max(self.most, len(self.kept))

    def restore(self, name: str) -> None:
        self.agent.node = self.kept[name].copy()

    def delete(self, name: str) -> None:
        del self.kept[name]

    def clear(self, but: str = "") -> None:
        self.kept = {name: node for name, node in self.kept.items() if name == but}


class Left(NamedTuple):
    """What an end leaves: kubelet's words, the rules in order."""

    words: tuple[tuple[str, str], ...]
    rules: tuple[tuple[str, tuple[str, ...]], ...]

    def of(self, family: str) -> "Left":
        """The same of one family."""
        return Left(
            tuple(one for one in self.words if one[0] == family),
            tuple(one for one in self.rules if one[0] == family),
        )


def left(words: Mapping[str, str], rules: Mapping[str, str]) -> Left:
    """What words and texts of rules say."""
    texts = sorted((family, tuple(plain(text))) for family, text in rules.items())
    return Left(tuple(sorted(words.items())), tuple(texts))


def every_last_node(body: Body, **more: Any) -> Iterator[Node]:
    """The node at the end of any order of the steps, by trying each: no product code decides."""
    seen: set[str] = set()
    stack = [Node(script=body, **more)]
    while stack:
        node = stack.pop()
        if node.key in seen:
            continue
        seen.add(node.key)
        lanes = node.waiting()
        if not lanes:
            yield node
        for lane in lanes:
            following = node.copy()
            following.step(lane)
            stack.append(following)


def every_end(body: Body, **more: Any) -> set[Left]:
    """All that any order leaves."""
    return {left(node.words, node.texts()) for node in every_last_node(body, **more)}


# Scripts as data, to be drawn and shrunk: each statement is a tuple.
#   ("run", line)                         a command, whatever it answers
#   ("save", program, path)               its output into a file; ("load", program, path) out of it
#   ("ask", name, line, needle)           remember whether the needle was written (none: code 0)
#   ("if", name, [...])                   what was remembered decides
#   ("look", name)                        the shell itself looks at kubelet
#   ("background", [...]), ("wait",)      concurrency of its own
#   ("shell", [...])                      a shell of its own: a step with others inside
Statement = tuple[Any, ...]


def play(statements: "list[Statement] | tuple[Statement, ...]") -> Body:
    """The script that does this."""

    def body() -> Generator[Request, Said, int]:
        yield from _play(statements, {})
        return 0

    return body


def _play(
    statements: "list[Statement] | tuple[Statement, ...]", known: dict[str, bool]
) -> Generator[Request, Said, None]:
    for kind, *rest in statements:
        if kind == "ask":
            name, line, needle = rest
            said = yield Run(line, to="pipe" if needle else "")
            known[name] = needle in said.text if needle else said.code == 0
        elif kind == "look":
            said = yield Look()
            known[rest[0]] = said.code == 0
        elif kind != "if":
            yield _request(kind, *rest)
        elif known.get(rest[0]):
            yield from _play(rest[1], known)


def _request(kind: str, *rest: Any) -> Request:
    """What a statement executes that remembers nothing."""
    made: dict[str, Callable[..., Request]] = {
        "run": Run,
        "save": lambda line, path: Run(line, to=path),
        "load": lambda line, path: Run(line, source=path),
        "background": lambda inside: Fork(play(inside)),
        "wait": Wait,
        "shell": lambda inside: Run("sh -c x", shell=play(inside)),
    }
    return made[kind](*rest)
