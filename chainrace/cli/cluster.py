"""The commands of the cluster: a control plane, a node that belongs to it, and kubectl."""

import os
from typing import Annotated

import typer

from chainrace.base.errors import UsageError
from chainrace.base.paths import Paths
from chainrace.cli.app import ALWAYS, ENVIRONMENT, app, check, command
from chainrace.cli.options import NodeOptions, OutputOptions
from chainrace.cluster import control_plane
from chainrace.cluster.workloads import IPTABLES, ProxyMode
from chainrace.run import cluster as running

cluster = typer.Typer(
    no_args_is_help=True,
    help="A whole node: one that belongs to a cluster.",
    epilog=f"Example: ./lab cluster up\n\nExit codes: each command's. {ALWAYS}",
)
app.add_typer(cluster, name="cluster", rich_help_panel=ENVIRONMENT)


@command(ENVIRONMENT, "./lab cluster up", "0 the node is Ready", within=cluster)
def up(
    *,
    mode: Annotated[
        ProxyMode, typer.Option("--proxy-mode", help="The mode of kube-proxy.")
    ] = IPTABLES,
    node: NodeOptions,
    output: OutputOptions,
) -> None:
    """Bring up a control plane and a node that belongs to it; ./lab down ends both."""
    if node.prepare is not None:
        raise UsageError("--prepare is for an exploration", "./lab cluster up --help")
    terminal, config = output.terminal(), node.applied()
    check(config)
    running.up(Paths(), config, terminal.step, mode)
    terminal.say("ready: ./lab kubectl get pods -A")


@command(ENVIRONMENT, "./lab kubectl get pods -A", "kubectl's", hands_on=True)
def kubectl(
    words: Annotated[list[str] | None, typer.Argument(help="What kubectl takes.")] = None,
) -> None:
    """Call kubectl as the administrator of the cluster that is up."""
    paths = Paths()
    called = control_plane.kubectl(paths, running.kubectl(paths), *(words or []))
    os.execvp(called[0], called)
