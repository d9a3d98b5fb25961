"""A real reboot of the node: what a script saved comes back, and kubelet starts beside it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.judge.boot import Boot
from chainrace.judge.outcome import judge
from chainrace.model import rules
from chainrace.model.backends import PROGRAM
from chainrace.model.guarantee import Promised
from chainrace.model.protocol import Clean, Rules
from chainrace.model.rules import FAMILIES
from chainrace.model.services import SERVICE
from chainrace.model.trial import Ending
from chainrace.node.node import Node
from chainrace.node.snapshots import Snapshots
from chainrace.node.ssh import Connection
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET
from chainrace.subjects.kubelet.words import BEYOND, words_in

WANTED = "/etc/systemd/system/multi-user.target.wants/kubelet.service"
UNIT = "/usr/lib/systemd/system/kubelet.service"
LOOK_SECONDS = 1.0
SNAPSHOT = "before-reboot"
# A rule of the node's own in each family: nothing but the saved files can bring it back.
# Addresses for documentation (RFC 5737, RFC 3849).
OWN = {
    "ipv4": "iptables -A INPUT -s 192.0.2.1 -j DROP",
    "ipv6": "ip6tables -A INPUT -s 2001:db8::1 -j DROP",
}
# kubelet tries its canaries at once; its Monitor looks a minute later (pkg/util/iptables).
CANARY_SECONDS = 30.0
LAST_CANARY = "-t filter -S KUBE-KUBELET-CANARY"


def save_and_reboot(
    paths: Paths,
    node: Node,
    script: str,
    reference: Promised,
    *,
    boot_limit: float,
    limit: float,
) -> Boot:
    """Let a script (its path on the node) save, boot the node anew, kubelet with it, and look.

    All that the node's rules held before counts as saved, with a rule of the lab's own in each
    family. Limits in seconds, of the boot and of kubelet's initialisation after it. The node is at
    its clean state afterwards. Raises LabError for a script that fails, and past a limit.
    """
    node.agent.ask(Clean(), timeout=limit)
    with kubelet_at_boot(node):
        for command in OWN.values():
            node.connection.succeed(command)
        before = node.agent.ask(Rules(), timeout=limit)
        node.connection.succeed(script, timeout=limit)
        reboot(paths, node, limit=boot_limit)
        ending = after_boot(node, limit=limit)
        service = node.connection.run(f"systemctl is-active {SERVICE}").stdout.strip()
    node.agent.ask(Clean(), timeout=limit)
    # Against what the node had, not against the file: a script may have saved nothing.
    lost = {
        family: rules.parse(before[family]).missing_from(rules.parse(ending.after[family]))
        for family in FAMILIES
    }
    return Boot(lost, service, judge(KUBELET, reference, ending), ending)


def reboot(paths: Paths, node: Node, *, limit: float) -> None:
    """Boot the node anew; its connection and its agent are there again afterwards."""
    boot_anew(paths, node, limit=limit)
    node.agent.begin()


def boot_anew(paths: Paths, node: Node, *, limit: float) -> None:
    """Boot the node anew; its connection is there again afterwards, and no agent runs."""
    if not node.host.acceleration.kvm:
        _forget_translations(paths, node)
    node.connection.reboot(timeout=limit)


def _forget_translations(paths: Paths, node: Node) -> None:
    """Have QEMU forget what it has translated of the guest's code.

    Without KVM a kernel that is unpacked over memory whose code was run before takes
    milliseconds for each store, and a boot ten minutes and more: QEMU looks at all that it
    has translated there. A restored snapshot forgets it (cpu_common_post_load in QEMU's
    cpu.c: tb_flush).
    """
    snapshots = Snapshots(paths, node.machine.domain)
    with node.connection.closed_meanwhile():
        snapshots.save(SNAPSHOT)
        snapshots.restore(SNAPSHOT)
        snapshots.delete(SNAPSHOT)


@contextmanager
def kubelet_at_boot(node: Node) -> Iterator[None]:
    """Boots start kubelet meanwhile."""
    node.connection.succeed(f"ln -sf {UNIT} {WANTED}")
    try:
        yield
    except BaseException:
        # What went wrong first is what counts.
        with suppress(LabError):
            node.connection.succeed(f"rm -f {WANTED}")
        raise
    node.connection.succeed(f"rm -f {WANTED}")


def after_boot(node: Node, *, limit: float) -> Ending:
    """What a boot has left, kubelet being beyond its initialisation and its canaries tried.

    `limit` in seconds; raises LabError past it. Canaries that are not there soon were flushed:
    whoever waited on would see kubelet's Monitor make them again.
    """
    words = words_in(once_beyond(node.connection, limit=limit))
    soon = time.monotonic() + CANARY_SECONDS
    for family, program in PROGRAM.items():
        asks = f"{program} {LAST_CANARY}"
        while words.get(family) == "initialised" and node.connection.run(asks).code != 0:
            if time.monotonic() > soon:
                break
            time.sleep(LOOK_SECONDS)
    left = node.agent.ask(Rules(), timeout=limit)
    return Ending(words, tuple(kubelets_log(node.connection).splitlines()), left)


def kubelets_log(connection: Connection, when: str = "--boot") -> str:
    """Kubelet's log of this boot, or of another time in journalctl's words."""
    return connection.succeed(f"journalctl {when} --output=cat --unit=kubelet")


def once_beyond(connection: Connection, *, limit: float, when: str = "--boot") -> str:
    """The same, once kubelet is beyond its iptables initialisation, whatever came of that.

    Raises LabError after `limit` seconds.
    """
    deadline = time.monotonic() + limit
    while BEYOND not in (log := kubelets_log(connection, when)):
        if time.monotonic() > deadline:
            raise LabError(
                f"{connection.name}: kubelet has not gone beyond its iptables initialisation "
                f"within {limit:.0f} s",
                f"look at it: ./lab ssh {connection.name}, journalctl -u kubelet",
            )
        time.sleep(LOOK_SECONDS)
    return log
