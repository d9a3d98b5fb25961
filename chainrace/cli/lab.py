"""Commands on the lab itself: what it needs, its checks, its end."""

import os
import signal
import subprocess
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from chainrace.base.errors import LabError, UsageError
from chainrace.base.paths import Paths
from chainrace.cli.app import (
    DEVELOPING,
    ENVIRONMENT,
    TESTING,
    NoInstall,
    check,
    command,
    refuse_install,
)
from chainrace.cli.options import NodeOptions, OutputOptions, ScriptOptions, changes, expected
from chainrace.host import box, doctor, packages, setup
from chainrace.host.holding import held, taken_over
from chainrace.node.machine import NODE, Machine
from chainrace.report.killed import conclude_killed
from chainrace.report.terminal import Terminal
from chainrace.run import cluster, session
from chainrace.run import measure as measuring
from chainrace.settings import config as configuration
from chainrace.settings.scenario import choose, columns


@command(ENVIRONMENT, "./lab doctor", "0 ready; 4 something is missing", name="doctor")
def doctor_command(*, output: OutputOptions) -> None:
    """Say what this machine has, and what is missing."""
    terminal = output.terminal()
    findings = doctor.examine(Paths())
    for finding in findings:
        terminal.answer(f"{'ok     ' if finding.ok else 'missing'} {finding.what}")
        if finding.remedy:
            terminal.answer(f"        to do: {finding.remedy}")
    terminal.data([asdict(finding) for finding in findings])
    if not all(finding.ok for finding in findings):
        raise typer.Exit(LabError.exit_code)


@command(ENVIRONMENT, "./lab setup --no-install", "0 ready; 4 not", name="setup")
def setup_command(
    *,
    no_install: NoInstall = False,
) -> None:
    """Install and build what is missing; `vagrant up && pytest` works from then on."""
    terminal = Terminal()
    refuse_install(no_install=no_install)
    paths, config = Paths(), configuration.load()
    check(config)
    with held(paths):
        host = setup.prepare(paths, config, terminal.step)
        # A `vagrant up` that was killed would be in the way of the next.
        for name in setup.NODES:
            Machine(paths, name).remove_leftovers()
    terminal.say(f"acceleration: {host.acceleration.name} ({host.acceleration.reason})")
    terminal.say("ready: vagrant up && pytest")


@command(DEVELOPING, "./lab test", "tox's")
def test() -> None:
    """Lint, types, unit tests, the light node, and the suites on the VM, as tox.ini has them."""
    paths, config, terminal = Paths(), configuration.load(), Terminal()
    check(config)
    with held(paths):
        # Not up while the suites begin: they look at the host before anything of the lab is.
        with session.libvirt_as_found(paths):
            setup.prepare(paths, config, terminal.step)
        setup.install(paths, terminal.step, packages.TESTS)
        # All of it, whatever TOXENV or TOX_SKIP_ENV this shell may have.
        env = {name: value for name, value in os.environ.items() if not name.startswith("TOX")}
        # Apart from the terminal, whose Ctrl-C would come beside the one that tox hands on:
        # a suite that is interrupted twice leaves its node.
        process = subprocess.Popen(
            [sys.executable, "-m", "tox", "run"],
            cwd=paths.root,
            env=env,
            start_new_session=True,
        )
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
    raise typer.Exit(code)


@command(DEVELOPING, "./lab measure", "0")
def measure(
    *,
    runs: Annotated[
        bool, typer.Option("--runs", help="Also ./lab run, cold and warm, in a fresh clone.")
    ] = False,
) -> None:
    """Measure the figures of docs/dev/performance.md on this machine."""
    paths, config, terminal = Paths(), configuration.load(), Terminal()
    if config.image:
        raise UsageError("the figures are of the lab's own image", "leave [image] out of lab.toml")
    check(config)
    with held(paths), session.libvirt_as_found(paths):
        figures = list(measuring.measure(paths, config, terminal.step))
    if runs:
        figures += measuring.measure_runs(paths, terminal.step)
    terminal.say(measuring.HEADER)
    for figure in figures:
        terminal.say(figure.row())


@command(TESTING, "./lab check --script FILE", "0 all of it can run", name="check")
def check_command(
    *,
    script: ScriptOptions,
    node: NodeOptions,
    output: OutputOptions,
) -> None:
    """Check lab.toml and all that it names, or a script, image or kubelet; no VM is needed."""
    terminal = output.terminal()
    chosen = choose(configuration.load(), [], changes=changes(node, script), every=True)
    for one in chosen:
        expected(script.exit_code, one.script)
        for remark in check(one.config, one.script, one.prepare):
            terminal.answer(f"note: {one.name}: {remark}")
    terminal.say("lab.toml is right, and all that it names is there")
    terminal.table([columns(one) for one in chosen])


@command(ENVIRONMENT, "./lab ssh node1 -- journalctl -u kubelet", "ssh's")
def ssh(
    name: Annotated[str, typer.Argument(help="The node.")] = NODE,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[-- COMMAND]", help="What to run there.")
    ] = None,
) -> None:
    """Open a shell on a node that is up, or run a command there."""
    paths = Paths()
    if not paths.ssh_config.exists():
        raise LabError("this clone is not set up yet", "./lab setup")
    os.execvp("ssh", ["ssh", "-F", str(paths.ssh_config), name, *(words or [])])


@command(ENVIRONMENT, "./lab console", "tail's")
def console(name: Annotated[str, typer.Argument(help="The node.")] = NODE) -> None:
    """Follow what a node's serial console says; Ctrl-C ends it."""
    file = Paths().console(name)
    if not file.exists():
        raise LabError(f"{name} has not been up in this clone", "vagrant up")
    os.execvp("tail", ["tail", "--lines=200", "-F", str(file)])


@command(ENVIRONMENT, "./lab down", "0")
def down() -> None:
    """End all of this clone that runs: a command, nodes, cluster, libvirt, network, namespace."""
    paths = Paths()
    with taken_over(paths) as holder:
        if holder:
            Terminal().say(f"ended: {holder}")
        cluster.down(paths)
        box.forget(paths)
        conclude_killed(paths.results, Terminal().say)
