"""One run of the lab from an empty host to a verdict, whatever happens in between."""

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from chainrace.chance import SCRIPTS_ON_NODE, ChanceRun, Limits, Tell
from chainrace.config import LabConfig
from chainrace.errors import LabError
from chainrace.force.exploration import Options
from chainrace.force.preparation import prepared
from chainrace.force.replay import Replayer
from chainrace.force.run import ForceRun, Script, Teller, bring_script, script_on
from chainrace.host import libvirt, setup
from chainrace.host.setup import Step
from chainrace.node import backend
from chainrace.node.agent import Agent
from chainrace.node.identity import versions
from chainrace.node.line import port_of
from chainrace.node.machine import NODE, Machine
from chainrace.node.node import Node
from chainrace.node.ssh import Connection
from chainrace.paths import Paths
from chainrace.race.force import Explored
from chainrace.race.outcome import Name
from chainrace.race.schedule import Schedule
from chainrace.race.verdict import FIXED, ORIGINAL, Verdict
from chainrace.report.force import ForceFolder, write_replay
from chainrace.report.results import ResultsFolder, judge_records
from chainrace.report.terminal import Terminal

CLEAN_SECONDS = 300
BOOT = "boot"
BOOT_ON_NODE = "/usr/local/lib/chainrace/save/boot.sh"
# Of a run's budget; the rest is for the trials by chance.
FORCE_SHARE = 0.5


@contextmanager
def libvirt_as_found(paths: Paths, *, keep: bool = False) -> Iterator[None]:
    """Afterwards the lab's libvirt runs only if it did before, or on `keep`."""
    was_up = libvirt.is_running(paths)
    try:
        yield
    finally:
        if not was_up and not keep:
            libvirt.stop(paths)


@contextmanager
def node_up(
    paths: Paths, config: LabConfig, step: Step, *, keep: bool, name: str = NODE
) -> Iterator[Node]:
    """A provisioned node with its clean state recorded.

    A node that was up before stays up; one that was brought up for this is removed
    afterwards with the libvirt that carried it, unless `keep`.
    """
    machine = Machine(paths, name)
    was_up = machine.is_up()
    with (
        libvirt_as_found(paths, keep=keep),
        _removed_afterwards(machine, step, keep=keep or was_up),
    ):
        host = setup.prepare(paths, config, step)
        with step(
            f"vagrant up {machine.name} ({host.acceleration.name}: {host.acceleration.reason})"
        ):
            machine.up(host)
        with (
            Connection(paths.ssh_config, machine.name) as connection,
            Agent(connection, port_of(paths, machine.domain)) as agent,
        ):
            with step(f"bringing {machine.name} to its clean state"):
                backend.use(connection, config.node.backend)
                said = versions(connection)
                agent.ask("clean", timeout=CLEAN_SECONDS)
            if said.kubelet != f"Kubernetes v{host.kubelet.version}":
                raise LabError(
                    f"{machine.name} runs {said.kubelet}, not {host.kubelet.version}",
                    "vagrant destroy -f, then run again",
                )
            identity = {
                **asdict(said),
                "image": host.image.identity,
                "acceleration": host.acceleration.name,
            }
            yield Node(host, machine, connection, agent, identity)


@contextmanager
def _removed_afterwards(machine: Machine, step: Step, *, keep: bool) -> Iterator[None]:
    try:
        yield
    finally:
        if not keep and machine.is_up():
            with step(f"removing {machine.name}"):
                machine.destroy()


def run(
    paths: Paths,
    config: LabConfig,
    node: Node,
    folder: ResultsFolder,
    *,
    pairs: int | None,
    budget: float | None,
    terminal: Terminal,
) -> Verdict:
    """The fixed script by force, then both by chance; writes verdict.json.

    `budget` in seconds for both; force takes what it needs, up to its share.
    """
    begun = time.monotonic()
    fixed = ForceRun(
        paths,
        [node],
        script_on(node, FIXED, SCRIPTS_ON_NODE[FIXED]),
        Options(None if budget is None else FORCE_SHARE * budget),
        limit=config.limits.trial,
        teller=terminal,
        keep=lambda finding, last: write_replay(
            folder.path / "findings" / str(finding.schedule).replace("*", "_"), last
        ),
    )
    try:
        fixed.run()
    finally:
        folder.force(fixed.explored)
    terminal.explored(fixed.explored)
    left = None if budget is None else budget - (time.monotonic() - begun)
    return race(paths, config, node, folder, pairs=pairs, budget=left, tell=terminal.trial)


def race(
    paths: Paths,
    config: LabConfig,
    node: Node,
    folder: ResultsFolder,
    *,
    pairs: int | None,
    budget: float | None,
    tell: Tell,
    scripts: Mapping[str, str] = SCRIPTS_ON_NODE,
) -> Verdict:
    """Run the trials and write verdict.json, also when interrupted or broken midway.

    `budget` in seconds. An interruption is passed on after the verdict on what was
    done so far has been written.
    """
    chance = ChanceRun(
        agent=node.agent,
        folder=folder,
        console=paths.console(node.machine.name),
        limits=Limits(pairs, budget, config.limits.trial),
        tell=tell,
        seed=random.SystemRandom().getrandbits(32),
        scripts=scripts,
    )
    finished = False
    try:
        chance.run(chance.take_reference())
        finished = True
    finally:
        about = {**node.identity, "seed": chance.seed, "window": chance.window}
        verdict = judge_records(folder.path, chance.records)
        folder.conclude(verdict, about, interrupted=not finished)
    return verdict


def explore(
    paths: Paths,
    config: LabConfig,
    nodes: list[Node],
    *,
    scripts: list[Script],
    options: Options,
    folder: ForceFolder,
    teller: Teller,
) -> dict[str, Explored]:
    """Explore scripts by force and write verdict.json, also when interrupted midway.

    With two scripts they are the outage's original and its fix, and the verdict is
    theirs; with one it is that script's own word. Returns what was found, by script.
    """
    explored: dict[str, Explored] = {}
    finished = False
    try:
        for script in scripts:
            run = ForceRun(
                paths,
                nodes,
                script,
                options,
                limit=config.limits.trial,
                teller=teller,
                keep=partial(folder.keep, script.name),
            )
            try:
                run.run()
            finally:
                explored[script.name] = run.explored
                folder.end_states(run.explored)
        finished = True
    finally:
        folder.conclude(explored, nodes[0].identity, interrupted=not finished)
    return explored


@contextmanager
def scripts(
    nodes: list[Node], file: Path | None, prepare: Path | None, *, boot: bool
) -> Iterator[list[Script]]:
    """A script of the user's own, or the service's start at boot, or the fix and the original.

    On nodes on which `prepare` has run, until this is left. Raises UsageError and LabError.
    """
    with prepared(nodes, prepare) as how:
        if boot:
            chosen = [replace(script_on(nodes[0], BOOT, BOOT_ON_NODE), boot=True)]
        elif file is not None:
            chosen = [bring_script(nodes, file)]
        else:
            chosen = [
                script_on(nodes[0], name, SCRIPTS_ON_NODE[name]) for name in (FIXED, ORIGINAL)
            ]
        yield [replace(one, prepared=how) for one in chosen]


def replay(
    config: LabConfig,
    node: Node,
    *,
    script: Script,
    schedule: Schedule,
    times: int,
    folder: Path,
    terminal: Terminal,
) -> list[Name]:
    """Replay a schedule and tell each outcome; the evidence of each goes into the folder."""
    replayer = Replayer(node.agent, script.path, config.limits.trial, boot=script.boot)
    with terminal.step("taking the reference: kubelet's clean start"):
        reference = replayer.reference()
    outcomes: list[Name] = []
    for number in range(1, times + 1):
        replayed = replayer.run(schedule, reference)
        write_replay(folder / f"{number:03d}", replayed)
        terminal.replayed(replayed, number, times)
        outcomes.append(replayed.outcome.name)
    replayer.release()
    return outcomes
