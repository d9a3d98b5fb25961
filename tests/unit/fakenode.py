"""A made-up node behind the agent's line: two tables of chains, kubelet, a script."""

import copy
from dataclasses import dataclass, field
from typing import Any

from chainrace.node.agent import RefusedError

KUBELET = {
    "k": (
        "iptables -t mangle -N KUBE-IPTABLES-HINT",
        "iptables -t filter -N KUBE-FIREWALL",
        "iptables -t filter -C KUBE-FIREWALL",
        "iptables -t mangle -N KUBE-KUBELET-CANARY",
    ),
    "x": ("ip6tables -t mangle -N KUBE-IPTABLES-HINT",),
}
FAMILIES = {"k": "ipv4", "x": "ipv6"}


@dataclass
class Node:
    """Everything that a snapshot keeps."""

    script: tuple[str, ...]
    chains: dict[str, set[str]] = field(default_factory=lambda: {"ipv4": set(), "ipv6": set()})
    saved: dict[str, str] = field(default_factory=dict)
    commands: list[dict[str, Any]] = field(default_factory=list)
    at: dict[str, int] = field(default_factory=lambda: {"k": 0, "x": 0, "s": 0})
    failed: bool = False
    first: str = "ipv4"
    ordered: bool = False  # kubelet's start waits for the script
    restart_after: int | None = None  # the script restarts kubelet after so many steps
    restarted: int = 0
    unseen: tuple[str, ...] = ()  # steps of kubelet's that run past the gate

    def program(self, actor: str) -> tuple[str, ...]:
        steps = self.script if actor == "s" else KUBELET[actor]
        return tuple(step for step in steps if step not in self.unseen)

    def done(self, actor: str) -> bool:
        return self.at[actor] == len(self.program(actor)) or (actor == "k" and self.failed)

    def waits(self, actor: str) -> bool:
        if self.ordered and actor != "s" and not self.done("s"):
            return False
        return not self.done(actor)

    def step(self, actor: str) -> None:
        line = self.program(actor)[self.at[actor]]
        self.at[actor] += 1
        code = self._run(line.split())
        if actor == "k":
            for past in self.unseen:
                self._run(past.split())
        if actor == "k" and " -C " in line and code:
            self.failed = True
        if actor == "s" and self.at["s"] == self.restart_after:
            # The script restarts kubelet before its next step, or its end.
            self.at |= {"k": 0, "x": 0}
            self.failed, self.restarted = False, 1
        program, *arguments = line.split()
        whose = "script" if actor == "s" else "kubelet"
        self.commands.append(
            {"actor": whose, "program": program, "arguments": arguments, "code": code}
        )

    def _run(self, words: list[str]) -> int:
        family = "ipv6" if words[0].startswith("ip6") else "ipv4"
        chains = self.chains[family]
        if words[0].endswith("-save"):
            self.saved[family] = self.text(family)
            return 0
        if words[0].endswith("-restore"):
            kept = self.saved.get(family, "")
            self.chains[family] = {f"mangle {one}" for one in names(kept, "mangle")} | {
                f"filter {one}" for one in names(kept, "filter")
            }
            return 0
        table = words[words.index("-t") + 1]
        if "-N" in words:
            name = f"{table} {words[-1]}"
            there = name in chains
            chains.add(name)
            return int(there)
        if "-C" in words:
            return 0 if f"{table} {words[-1]}" in chains else 2
        self.chains[family] = {one for one in chains if not one.startswith(table)}
        return 0

    def text(self, family: str) -> str:
        lines = []
        for table in ("filter", "mangle"):
            lines += [f"*{table}", ":INPUT ACCEPT [0:0]"]
            lines += [
                f":{one.split()[1]} - [0:0]"
                for one in sorted(self.chains[family])
                if one.startswith(table)
            ]
            lines.append("COMMIT")
        return "\n".join(lines) + "\n"


def names(text: str, table: str) -> list[str]:
    found, inside = [], False
    for line in text.splitlines():
        if line.startswith("*"):
            inside = line == f"*{table}"
        elif inside and line.startswith(":KUBE"):
            found.append(line[1:].split()[0])
    return found


class FakeAgent:
    """Answers as chainrace/gate does. `firsts` are kubelet's choices, start after start."""

    survives_restore = True

    def __init__(
        self, script: tuple[str, ...], firsts: tuple[str, ...] = (), *, ordered: bool = False
    ) -> None:
        self.script = script
        self.ordered = ordered
        self.firsts = list(firsts)
        self.node = Node(script)
        self.asked: list[str] = []
        self.broken = 0  # so many walks more are refused
        self.restart_after: int | None = None  # the script restarts kubelet then
        self.endless = False  # the script alone never ends
        self.unseen: tuple[str, ...] = ()

    def ask(self, request: str, *, timeout: float, **words: Any) -> Any:
        assert timeout > 0
        self.asked.append(request)
        if request == "arm":
            first = self.firsts.pop(0) if self.firsts else "ipv4"
            script = () if words["script"] is None else self.script
            self.node = Node(
                script,
                first=first,
                ordered=self.ordered,
                restart_after=self.restart_after,
                unseen=self.unseen,
            )
        if request == "watch":
            looked = {"ipv6": True} if self.node.failed else {"ipv4": True, "ipv6": True}
            return {"looked": looked, "rules": self._rules()}
        return self._walk(**words) if request == "walk" else None

    def _walk(
        self, turns: list[tuple[str, int | None]], *, rules_too: bool, evidence: bool
    ) -> dict[str, Any]:
        if self.broken:
            self.broken -= 1
            raise RefusedError("kubelet ended with 1 in the middle", "look")
        if self.endless and turns == [("s", None)]:
            raise RefusedError("the limit of 10 s passed; the script has not ended", "look")
        node = self.node
        made = []
        for actor, steps in turns:
            count = 0
            while count != steps and node.waits(actor):
                node.step(actor)
                count += 1
            made.append([actor, count])
        view: dict[str, Any] = {
            "made": made,
            "commands": copy.deepcopy(node.commands),
            "next": {actor: self._next(actor) for actor in "kxs"},
            "done": {actor: node.done(actor) for actor in "kxs"},
            "words": {
                FAMILIES[actor]: "failed" if actor == "k" and node.failed else "initialised"
                for actor in "kx"
                if node.done(actor)
            },
            "first_family": node.first if node.at["k"] or node.at["x"] else None,
            "restarts": node.restarted,
            "script_code": 0 if node.done("s") else None,
            "reading": 0.0,
        }
        if rules_too:
            view |= {"rules": self._rules(), "saved": dict(node.saved)}
        if evidence:
            view["journal"] = ["a line of kubelet's"]
        return view

    def _rules(self) -> dict[str, str]:
        return {family: self.node.text(family) for family in ("ipv4", "ipv6")}

    def _next(self, actor: str) -> list[str] | None:
        if not self.node.waits(actor):
            return None
        whose = "script" if actor == "s" else "kubelet"
        return [whose, *self.node.program(actor)[self.node.at[actor]].split()]


class FakeSnapshots:
    """Copies of the made-up node."""

    def __init__(self, agent: FakeAgent) -> None:
        self.agent = agent
        self.kept: dict[str, Node] = {}
        self.most = 0

    def save(self, name: str) -> None:
        self.kept[name] = copy.deepcopy(self.agent.node)
        self.most = max(self.most, len(self.kept))

    def restore(self, name: str) -> None:
        self.agent.node = copy.deepcopy(self.kept[name])

    def delete(self, name: str) -> None:
        del self.kept[name]

    def clear(self) -> None:
        self.kept.clear()
