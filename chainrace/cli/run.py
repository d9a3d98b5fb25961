"""Commands that take evidence and judge it: run, list, judge."""

from pathlib import Path
from typing import Annotated, get_args

import typer
from pydantic import TypeAdapter, ValidationError

from chainrace.base.errors import LabError, UsageError
from chainrace.base.paths import Paths
from chainrace.cli.app import (
    INSPECTING,
    TESTING,
    NoInstall,
    check,
    command,
    refuse_install,
    show_rest,
)
from chainrace.cli.options import (
    ExplorationOptions,
    KeepOptions,
    NodeOptions,
    OutputOptions,
    ScriptOptions,
    changes,
    expected,
)
from chainrace.judge.conclusion import CLUSTER, Evidence
from chainrace.judge.explored import EXIT_OF
from chainrace.report import verdict as stored
from chainrace.report import views
from chainrace.report.results import doubts_in, judge_again
from chainrace.report.terminal import Terminal
from chainrace.run import evidence as taking
from chainrace.settings import config as configuration
from chainrace.settings.amount import Amount
from chainrace.settings.keeping import Keeping
from chainrace.settings.scenario import Chosen, choose, columns
from chainrace.settings.subject import subjects as every_subject

# Of several scenarios the gravest code: a broken environment, refuted, inconclusive, confirmed.
GRAVEST_FIRST = (LabError.exit_code, 1, 3, 0)

KINDS: TypeAdapter[list[Evidence]] = TypeAdapter(configuration.Kinds)

Names = Annotated[
    list[str] | None,
    typer.Argument(help="Scenarios of lab.toml; default: all that run by default."),
]
Expression = Annotated[
    str, typer.Option("-k", help="Only scenarios whose names match, as pytest's -k.")
]


@command(
    TESTING,
    "./lab run --script FILE --budget 30m",
    "0 confirmed, harmless or not exposed; 1 refuted or harmful; 3 anything that was not shown",
)
def run(
    names: Names = None,
    *,
    expression: Expression = "",
    evidence: Annotated[
        str | None,
        typer.Option(help="Some of exploration, trials, reboot, with commas between; or cluster."),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1, max=configuration.MOST_TIMES, help="The number of trials of each script."
        ),
    ] = None,
    script: ScriptOptions,
    node: NodeOptions,
    exploration: ExplorationOptions,
    keep: KeepOptions,
    output: OutputOptions,
    no_install: NoInstall = False,
) -> None:
    """Explore the fix, race both scripts against kubelet's start, and print the verdict.

    --budget is for exploration and trials together, 5m without it.
    """
    limit = exploration.seconds
    asked = changes(node, script, _kinds(evidence))
    chosen = choose(configuration.load(), names or [], expression, asked)
    terminal = output.terminal()
    for one in chosen:
        expected(script.exit_code, one.script)
        for remark in check(one.config, one.script, one.prepare):
            terminal.say(f"note: {remark}")
    if keep.keep != "never" and len(chosen) > 1:
        raise UsageError(
            f"--keep {keep.keep} with {len(chosen)} scenarios: the first node would be in the way",
            "name one scenario",
        )
    if any(CLUSTER in one.evidence for one in chosen):
        _refuse_in_cluster(trials, exploration, keep)
    refuse_install(no_install=no_install)
    codes = []
    for one in chosen:
        amount = one.amount(trials, limit)
        try:
            codes.append(_run(one, amount, exploration, terminal, keep.keeping))
        except LabError as error:
            if len(chosen) == 1 or error.exit_code != LabError.exit_code:
                raise
            # The others may be sound.
            terminal.say(f"lab: {one.name}: {error}")
            codes.append(error.exit_code)
    raise typer.Exit(next(code for code in GRAVEST_FIRST if code in codes))


def _refuse_in_cluster(
    trials: int | None, exploration: ExplorationOptions, keep: KeepOptions
) -> None:
    """Refuse what a run in a cluster has no use for."""
    asked = exploration.first or exploration.preemptions is not None or exploration.nodes != 1
    if trials or exploration.seconds or asked:
        raise UsageError(
            "a run in a cluster has no trials, no exploration and no budget",
            "leave out --trials, --budget, --nodes, --first and --preemptions",
        )
    if keep.keep != "never" or keep.shell:
        raise UsageError(
            "a run in a cluster keeps no node", "./lab cluster up gives one that stays"
        )


def _run(
    chosen: Chosen,
    amount: Amount,
    asked: ExplorationOptions,
    terminal: Terminal,
    kept: Keeping,
) -> int:
    """One scenario on nodes of its own; its exit code."""
    paths = Paths()
    verdict, folder = taking.run(
        paths,
        chosen,
        kept,
        amount=amount,
        exploration=asked.options,
        nodes=asked.nodes,
        terminal=terminal,
    )
    lines = stored.read(folder)["lines"]
    terminal.verdict(verdict, lines, str(folder.relative_to(paths.root)))
    show_rest(terminal, folder)
    return EXIT_OF[verdict.verdict]


def _kinds(text: str | None) -> tuple[Evidence, ...]:
    """What --evidence says: `exploration,reboot`. Raises UsageError for what there is not."""
    try:
        return () if text is None else tuple(KINDS.validate_python(text.split(",")))
    except ValidationError as error:
        raise UsageError(
            f"--evidence {text!r} is no evidence",
            f"name some of {', '.join(get_args(Evidence))}, each once, and cluster alone",
        ) from error


@command(TESTING, "./lab list -k outage", "0", name="list")
def list_command(
    names: Names = None, *, expression: Expression = "", output: OutputOptions
) -> None:
    """List the scenarios: each with its kubelet, backend, script and evidence."""
    chosen = choose(configuration.load(), names or [], expression, every=True)
    output.terminal().table([columns(one) for one in chosen])


@command(TESTING, "./lab subjects", "0")
def subjects(*, output: OutputOptions) -> None:
    """List the subjects that a script can be raced with: those that ship, and those of lab.toml."""
    rows = [
        {"subject": one.name, "unit": one.unit, "done": one.done, "check": one.check}
        for one in every_subject(configuration.load()).values()
    ]
    output.terminal().table(rows)


@command(INSPECTING, "./lab report results/latest", "0")
def report(folder: Annotated[Path, typer.Argument(help="A folder under results/.")]) -> None:
    """Draw report.html, map.png, junit.xml and trace.json again from a stored run, without a VM."""
    Terminal().say(f"drawn: {views.draw(folder)}")


@command(INSPECTING, "./lab judge results/latest", "as of the run")
def judge(
    folder: Annotated[Path, typer.Argument(help="A folder under results/.")],
    *,
    output: OutputOptions,
) -> None:
    """Judge a stored run again from what it left; no VM is needed."""
    verdict, terminal = judge_again(folder), output.terminal()
    terminal.verdict(verdict, {}, str(folder))
    terminal.data({"verdict": verdict.verdict, "reason": verdict.reason, "folder": str(folder)})
    for script, doubts in doubts_in(folder).items():
        if doubts:
            terminal.say(f"{script}:")
        terminal.doubts(doubts)
    raise typer.Exit(EXIT_OF[verdict.verdict])
