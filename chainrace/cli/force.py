"""Commands by force alone: explore, replay."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from chainrace import config as configuration
from chainrace import exploring, session
from chainrace.cli.app import (
    AsJson,
    BackendName,
    Boot,
    ImageBus,
    ImageFile,
    ImageKey,
    ImageUser,
    KeepNode,
    PrepareFile,
    ScriptFile,
    ShellOnFailure,
    app,
    check,
    image_of,
    keeping,
    seconds,
    tell_rest,
)
from chainrace.errors import UsageError
from chainrace.force.exploration import Options
from chainrace.force.replay import turns_of
from chainrace.host import setup
from chainrace.paths import Paths
from chainrace.race import schedule as schedules
from chainrace.race.exposure import NOT_EXPOSED, why_not_exposed
from chainrace.race.force import EXIT_OF, HARMFUL, conclusion
from chainrace.race.outcome import HEALTHY
from chainrace.report.folder import Folder
from chainrace.report.force import ForceFolder
from chainrace.report.terminal import Terminal


@app.command()
def explore(
    *,
    script: ScriptFile = None,
    boot: Boot = False,
    prepare: PrepareFile = None,
    image: ImageFile = None,
    user: ImageUser = None,
    key: ImageKey = None,
    bus: ImageBus = None,
    backend: BackendName = None,
    budget: Annotated[
        str | None, typer.Option("--budget", help="Time for exploring; replays come on top.")
    ] = None,
    preemptions: Annotated[
        int | None,
        typer.Option(
            "--preemptions",
            min=0,
            max=configuration.MOST_TIMES,
            help="A quick look: at most so many preemptions.",
        ),
    ] = None,
    nodes: Annotated[
        int, typer.Option("--nodes", min=1, max=len(setup.NODES), help="So many nodes share it.")
    ] = 1,
    keep: KeepNode = "never",
    shell: ShellOnFailure = False,
    as_json: AsJson = False,
) -> None:
    """Force every interleaving of a script with kubelet's start; default: both scripts.

    0: no interleaving harms kubelet (both scripts: confirmed); 1: one does; 3: not finished.
    Stopped before its end, the same command goes on where it was.
    """
    _refuse_both(script, boot=boot)
    options, kept = Options(seconds(budget), preemptions), keeping(keep, shell=shell)
    config = configuration.load(backend=backend, image=image_of(image, user, key, bus))
    check(config, script, prepare)
    paths, terminal = Paths(), Terminal(as_json=as_json)
    with ExitStack() as stack:
        up = [
            stack.enter_context(session.node_up(paths, config, terminal.step, kept, name=name))
            for name in setup.NODES[:nodes]
        ]
        found = up[0].found
        if found and script is None and (reason := why_not_exposed(found)):
            terminal.say(f"{NOT_EXPOSED}: {reason}; the image is {found}")
            raise typer.Exit(EXIT_OF[NOT_EXPOSED])
        chosen = stack.enter_context(exploring.scripts(up, script, prepare, boot=boot))
        folder = ForceFolder(paths.results, config.image.options if config.image else ())
        terminal.say(f"exploring; results go to {folder.path.relative_to(paths.root)}")
        explored = exploring.explore(
            paths, config, up, scripts=chosen, options=options, folder=folder, teller=terminal
        )
        word, reason = conclusion(explored)
        if EXIT_OF[word] != 0:
            kept.failure = f"{word}: {reason}"
    for one in explored.values():
        terminal.explored(one)
    terminal.word(word, reason, str(folder.path.relative_to(paths.root)))
    tell_rest(terminal, folder.path, as_json=as_json)
    raise typer.Exit(EXIT_OF[word])


@app.command()
def replay(
    name: Annotated[str, typer.Argument(help="A schedule, as in 's1 k7 s* k*'.")],
    *,
    script: ScriptFile = None,
    boot: Boot = False,
    prepare: PrepareFile = None,
    image: ImageFile = None,
    user: ImageUser = None,
    key: ImageKey = None,
    bus: ImageBus = None,
    backend: BackendName = None,
    times: Annotated[
        int, typer.Option("--times", min=1, max=configuration.MOST_TIMES, help="So often.")
    ] = 1,
    keep: KeepNode = "never",
    shell: ShellOnFailure = False,
) -> None:
    """Run exactly one schedule, from a fresh start (default script: the original).

    0: kubelet stayed healthy every time; 1: it was harmed.
    """
    try:
        schedule = schedules.parse(name)
    except ValueError as error:
        raise UsageError(str(error), "write it as in: ./lab replay 's1 k7 s* k*'") from error
    turns_of(schedule)
    _refuse_both(script, boot=boot)
    config = configuration.load(backend=backend, image=image_of(image, user, key, bus))
    check(config, script, prepare)
    paths, terminal, kept = Paths(), Terminal(), keeping(keep, shell=shell)
    with (
        session.node_up(paths, config, terminal.step, kept) as node,
        exploring.scripts([node], script, prepare, boot=boot) as chosen,
    ):
        folder = Folder(paths.results)
        outcomes = exploring.replay(
            config,
            node,
            script=chosen[-1],
            schedule=schedule,
            times=times,
            folder=folder.path,
            terminal=terminal,
        )
        if set(outcomes) != {HEALTHY}:
            kept.failure = f"{schedule} ended {', '.join(sorted(set(outcomes)))}"
    terminal.say(f"evidence: {folder.path.relative_to(paths.root)}")
    raise typer.Exit(0 if set(outcomes) == {HEALTHY} else EXIT_OF[HARMFUL])


def _refuse_both(script: Path | None, *, boot: bool) -> None:
    if boot and script is not None:
        raise UsageError("--boot and --script exclude each other", "give one of them")
