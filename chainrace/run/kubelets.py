"""kubelet's generations: what each version does at its start, and whether the bug is there.

One cut through all interleavings for each version: the original script saves at once, kubelet
makes n steps on IPv4, the script restarts the service, kubelet goes on; for every n.
"""

from collections.abc import Iterator

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.explore.replay import Replayer
from chainrace.explore.views import calls_of
from chainrace.host.setup import Step
from chainrace.judge.compared import Cut, Generation
from chainrace.judge.verdict import ORIGINAL
from chainrace.model.actors import KUBELETS
from chainrace.model.protocol import View
from chainrace.model.schedule import parse
from chainrace.node.machine import Machine
from chainrace.node.node import Node
from chainrace.run import session
from chainrace.run.trials import SCRIPTS_ON_NODE
from chainrace.settings.config import LabConfig, with_kubelet
from chainrace.settings.keeping import Keeping


def compare(
    paths: Paths,
    config: LabConfig,
    versions: list[str],
    step: Step,
) -> Iterator[Generation]:
    """Each version on a node of its own, one after the other.

    Raises LabError when a node is up already: it would have another kubelet.
    """
    if Machine(paths).is_up():
        raise LabError("a node is up, with one kubelet", "vagrant destroy -f")
    for version in versions:
        chosen = with_kubelet(config, version)
        with session.node_up(paths, chosen, step, Keeping()) as node:
            yield generation(node, chosen, step)


def generation(node: Node, config: LabConfig, step: Step) -> Generation:
    """What a node's kubelet does at its start, and each cut. Raises LabError."""
    replayer = Replayer(node.agent, SCRIPTS_ON_NODE[ORIGINAL], config.limits.trial)
    # Kubernetes v1.34.4
    version = node.identity["kubelet"].removeprefix("Kubernetes v")
    backend, containerd = node.identity["backend"], node.identity["containerd"]
    with step(f"kubelet {version}: its clean start"):
        try:
            reference = replayer.reference()
        except LabError as error:
            replayer.release()
            said = node.connection.run("journalctl -u kubelet -o cat | grep '^[EF][0-9]' | tail -1")
            why = f"{error.what}; {said.stdout.strip()}"
            return Generation(version, backend, containerd, {}, {}, (), refused=why)
    steps = {family: _steps(reference.view, actor) for actor, family in KUBELETS.items()}
    cuts = []
    for made in range(len(steps["ipv4"]) + 1):
        schedule = parse(f"s2 k{made} s* k*" if made else "s* k*")
        with step(f"kubelet {version}: {schedule}"):
            outcome = replayer.run(schedule, reference).outcome
        mine = outcome.families["ipv4"]
        cuts.append(Cut(str(schedule), mine.modes, mine.cause, outcome.signature, mine.missing))
    replayer.release()
    return Generation(
        version=version,
        backend=backend,
        containerd=containerd,
        steps=steps,
        chains={family: _chains(all_of) for family, all_of in steps.items()},
        cuts=tuple(cuts),
    )


def _steps(view: View, actor: str) -> tuple[str, ...]:
    return tuple(str(call) for call in calls_of(view, actor))


def _chains(steps: tuple[str, ...]) -> tuple[str, ...]:
    """`mangle KUBE-IPTABLES-HINT` for each chain that is made."""
    return tuple(
        f"{words[words.index('-t') + 1]} {words[words.index('-N') + 1]}"
        for words in (step.split() for step in steps)
        # iptables -w 5 -W 100000 -N KUBE-IPTABLES-HINT -t mangle
        if "-N" in words
    )
