"""Commands that take evidence and judge it: run, list, judge."""

from pathlib import Path
from typing import Annotated, get_args

import typer
from pydantic import TypeAdapter, ValidationError

from chainrace import config as configuration
from chainrace import evidence as taking
from chainrace.cli.app import (
    INSPECTING,
    TESTING,
    AsJson,
    BackendName,
    ExitCode,
    ImageBus,
    ImageFile,
    ImageKey,
    ImageUser,
    KeepNode,
    NoInstall,
    ScriptFile,
    ShellOnFailure,
    check,
    command,
    expected,
    image_of,
    keeping,
    refuse_install,
    seconds,
    tell_rest,
)
from chainrace.errors import LabError, UsageError
from chainrace.keeping import Keeping
from chainrace.paths import Paths
from chainrace.race.conclusion import Evidence
from chainrace.race.explored import EXIT_OF
from chainrace.report import verdict as stored
from chainrace.report import views
from chainrace.report.results import doubts_in, judge_again
from chainrace.report.terminal import Terminal
from chainrace.scenario import DEFAULT_BUDGET, Changes, Chosen, choose
from chainrace.trials import Amount

# Of several scenarios the gravest code: a broken environment, refuted, inconclusive, confirmed.
GRAVEST_FIRST = (LabError.exit_code, 1, 3, 0)

KINDS: TypeAdapter[list[Evidence]] = TypeAdapter(configuration.Kinds)

Names = Annotated[
    list[str] | None, typer.Argument(help="Scenarios of lab.toml; default: all of them.")
]
Expression = Annotated[
    str, typer.Option("-k", help="Of those the ones whose names match, as pytest's -k.")
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
    image: ImageFile = None,
    user: ImageUser = None,
    key: ImageKey = None,
    bus: ImageBus = None,
    script: ScriptFile = None,
    exit_code: ExitCode = None,
    kubelet: Annotated[
        str | None, typer.Option("--kubelet", help="A version that is pinned, or a binary.")
    ] = None,
    backend: BackendName = None,
    evidence: Annotated[
        str | None,
        typer.Option("--evidence", help="exploration, trials, reboot; commas between."),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            "--trials", min=1, max=configuration.MOST_TIMES, help="Trials of each script."
        ),
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", help=f"Time for force and trials [{DEFAULT_BUDGET}].")
    ] = None,
    keep: KeepNode = "never",
    shell: ShellOnFailure = False,
    as_json: AsJson = False,
    no_install: NoInstall = False,
) -> None:
    """Explore the fix, race both scripts against kubelet's start, and print the verdict."""
    limit = seconds(budget)
    own = image_of(image, user, key, bus)
    changes = Changes(own, backend, _absolute(kubelet), script, _kinds(evidence), exit_code)
    chosen = choose(configuration.load(), names or [], expression, changes)
    terminal = Terminal(as_json=as_json)
    for one in chosen:
        expected(exit_code, one.script)
        for remark in check(one.config, one.script):
            terminal.say(f"note: {remark}")
    if keep != "never" and len(chosen) > 1:
        raise UsageError(
            f"--keep {keep} with {len(chosen)} scenarios: the first node kept would be in the way",
            "name one scenario",
        )
    refuse_install(no_install=no_install)
    codes = []
    for one in chosen:
        amount = one.amount(trials, limit)
        try:
            codes.append(_run(one, amount, terminal, keeping(keep, shell=shell), as_json=as_json))
        except LabError as error:
            if len(chosen) == 1 or error.exit_code != LabError.exit_code:
                raise
            # The others may be sound.
            terminal.say(f"lab: {one.name}: {error}")
            codes.append(error.exit_code)
    raise typer.Exit(next(code for code in GRAVEST_FIRST if code in codes))


def _run(
    chosen: Chosen, amount: Amount, terminal: Terminal, kept: Keeping, *, as_json: bool
) -> int:
    """One scenario on a node of its own; its exit code."""
    paths = Paths()
    verdict, folder = taking.run(paths, chosen, kept, amount=amount, terminal=terminal)
    lines = stored.read(folder)["lines"]
    terminal.verdict(verdict, lines, str(folder.relative_to(paths.root)))
    tell_rest(terminal, folder, as_json=as_json)
    return EXIT_OF[verdict.verdict]


def _kinds(text: str | None) -> tuple[Evidence, ...]:
    """What --evidence says: `exploration,reboot`. Raises UsageError for what there is not."""
    try:
        return () if text is None else tuple(KINDS.validate_python(text.split(",")))
    except ValidationError as error:
        raise UsageError(
            f"--evidence {text!r} is no evidence",
            f"name some of {', '.join(get_args(Evidence))}, each once",
        ) from error


def _absolute(kubelet: str | None) -> str | None:
    """A file of the caller's folder, or a version as it is."""
    if not kubelet or configuration.VERSION.fullmatch(kubelet):
        return kubelet
    return str(Path(kubelet).absolute())


@command(TESTING, "./lab list -k outage", "0", name="list")
def list_command(names: Names = None, *, expression: Expression = "") -> None:
    """Say what would run: each scenario with its kubelet, backend, script and evidence."""
    Terminal().scenarios(choose(configuration.load(), names or [], expression))


@command(INSPECTING, "./lab report results/latest", "0")
def report(folder: Annotated[Path, typer.Argument(help="A folder under results/.")]) -> None:
    """Draw report.html, map.png, junit.xml and trace.json again from a stored run, without a VM."""
    Terminal().say(f"drawn: {views.draw(folder)}")


@command(INSPECTING, "./lab judge results/latest", "as of the run")
def judge(folder: Annotated[Path, typer.Argument(help="A folder under results/.")]) -> None:
    """Judge a stored run again from what it left; no VM is needed."""
    verdict, terminal = judge_again(folder), Terminal()
    terminal.verdict(verdict, {}, str(folder))
    for script, doubts in doubts_in(folder).items():
        if doubts:
            terminal.say(f"{script}:")
        terminal.doubts(doubts)
    raise typer.Exit(EXIT_OF[verdict.verdict])
