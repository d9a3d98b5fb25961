"""docs/kubelets.md, drawn from what `./lab kubelets` found."""

from chainrace.base.errors import UsageError
from chainrace.base.text import cell, line
from chainrace.judge.compared import Generation
from chainrace.model.rules import FAMILIES

NAME = "kubelets.json"
HEAD = """# kubelet's generations

Drawn by `./lab kubelets` from a run of it; `./lab kubelets --draw FOLDER` draws it again. One
cut for each number n of kubelet's IPv4 steps: `s1 kn s* k*`, the original script saves before
kubelet begins and restarts iptables.service after n of its steps.

"""


def draw(found: list[Generation]) -> str:
    """The page, as Markdown. Raises UsageError for a kubelet without its steps."""
    rows = [
        "| kubelet | backend | IPv4 steps | IPv6 steps | init_failed, n | rules_lost, n | bug |"
    ]
    rows.append("| --- | --- | --- | --- | --- | --- | --- |")
    for one in found:
        name = f"{cell(one.version)} | {cell(one.backend)}"
        if one.refused:
            rows.append(f"| {name} | did not start | | | | |")
            continue
        if not one.steps.keys() >= set(FAMILIES):
            raise UsageError(
                f"the steps of kubelet {line(one.version)} are missing", "run ./lab kubelets again"
            )
        counts = f"{len(one.steps['ipv4'])} | {len(one.steps['ipv6'])}"
        failed = _ranges(one, "init_failed")
        lost = _ranges(one, "rules_lost")
        there = "**yes**" if one.broken else "no"
        rows.append(f"| {name} | {counts} | {failed} | {lost} | {there} |")
    parts = [_part(one) for one in found]
    return HEAD + "\n".join(rows) + "\n\n" + "\n".join(parts)


def _ranges(one: Generation, name: str) -> str:
    """The numbers of steps whose cut has a failure mode: `2-7, 9`."""
    numbers = [at for at, cut in enumerate(one.cuts) if name in cut.modes]
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if run[1:] else str(run[0]) for run in runs) or "none"


def _part(one: Generation) -> str:
    lines = [f"## {line(one.version)} ({line(one.backend)}; {_short(one.containerd)})"]
    if one.refused:
        return "\n".join(
            [*lines, f"It did not come through a clean start: {line(one.refused)}", ""]
        )
    for family, chains in one.chains.items():
        made = line(", ".join(chains)) or "nothing"
        lines.append(f"- {line(family)} makes, in this order: {made}")
    messages = sorted({_message(cut.cause) for cut in one.cuts if cut.cause})
    lines += [f"- `{message}`" for message in messages]
    lines += [
        "",
        "    " + "\n    ".join(f"{n:2} {line(s)}" for n, s in enumerate(one.steps["ipv4"], 1)),
    ]
    return "\n".join([*lines, ""])


def _short(containerd: str) -> str:
    """`containerd 1.7.24~ds1-6+deb13u1` of what it says of itself."""
    # containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6+deb13u1
    *_, version = line(containerd).split() or ["of an unknown version"]
    return f"containerd {version}"


def _message(cause: str) -> str:
    """Klog's line without time and process: it differs from run to run."""
    return line(cause).partition("] ")[2].replace("`", "'")
