"""The figures of docs/dev/performance.md, measured in one run on one machine.

Hosts differ, and one host differs from hour to hour: what counts is each figure next
to the bare cost of the same thing, taken just before it.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.explore.preparation import pristine
from chainrace.explore.replay import Replayer, lazy_in, turns_of
from chainrace.explore.views import as_seen
from chainrace.explore.walker import Walker
from chainrace.host import box, image, libvirt, namespace, setup
from chainrace.host.setup import Host, Step
from chainrace.host.shell import as_root, run
from chainrace.judge.verdict import ORIGINAL
from chainrace.model.protocol import Trial
from chainrace.model.schedule import parse
from chainrace.node.machine import Machine
from chainrace.node.node import Node
from chainrace.node.ssh import Connection
from chainrace.run import session
from chainrace.run.trials import SCRIPTS_ON_NODE
from chainrace.settings.config import LabConfig
from chainrace.settings.keeping import Keeping
from chainrace.subjects.kubelet.words import BEYOND

REPEATS = 3
STEPPING = "s2 k8 s* k*"
BRANCH = 2  # the turns that it has in common with its neighbours in the graph
BOOT_SECONDS = 300


@dataclass(frozen=True)
class Figure:
    """One line of the table: seconds, next to a bare cost and its aim where there is one."""

    name: str
    seconds: float
    bare: float | None = None
    aim: float | None = None

    def row(self) -> str:
        ratio = f"{self.seconds / self.bare:.2f}" if self.bare else ""
        bare = f"{self.bare:.1f}" if self.bare else ""
        aim = f"≤ {self.aim}" if self.aim else ""
        return f"| {self.name} | {self.seconds:.1f} | {bare} | {ratio} | {aim} |"


HEADER = "| what | seconds | bare seconds | ratio | aim |\n| --- | --- | --- | --- | --- |"


def measure(paths: Paths, config: LabConfig, step: Step) -> Iterator[Figure]:
    """Boot and trial next to their bare costs. Raises LabError when a node is up already."""
    if Machine(paths).is_up():
        raise LabError("a node is up: the boot cannot be measured", "vagrant destroy -f")
    host = setup.prepare(paths, config, step)
    with step("booting the image in bare QEMU"):
        bare_boot = _bare_boot(paths, config, host)
    with step("vagrant up without provisioning"):
        booted = _timed(lambda: _vagrant_up(paths))
    yield Figure("`vagrant up` to the first command, beside a bare boot", booted, bare_boot, 1.3)
    with session.node_up(paths, config, step, Keeping("always")) as node:
        with step(f"{REPEATS} bare starts of kubelet, {REPEATS} bare runs of the script"):
            start, script = _bare_race(node.connection)
        yield from _trials(node, config, start + script, step)
        yield from _explored(paths, node, config, step)
        yield Figure("kubelet's bare warm start, to beyond its initialisation", start)
        yield Figure("the original script's bare run", script)
    Machine(paths).destroy()


def measure_runs(paths: Paths, step: Step) -> Iterator[Figure]:
    """`./lab run` cold and warm, in a fresh clone, with empty caches of Go and pip.

    The Debian packages stay installed: their time is apt's and the network's.
    """
    with _fresh_clone(paths) as clone:
        for name, aim in (("cold", 15 * 60), ("warm", 7 * 60)):
            with step(f"./lab run, {name}, in a fresh clone"):
                taken = _timed(lambda: _lab_run(clone))
            share = json.loads((clone / "results/latest/verdict.json").read_text())
            arm = share["scripts"][ORIGINAL]
            counts = ", ".join(f"{count} {name}" for name, count in arm["outcomes"].items())
            about = f"{share['verdict']}; original: {arm['trials']} trials, {counts}"
            yield Figure(f"`./lab run`, {name} (aim {aim} s; {about})", taken)


def _timed(action: Callable[[], object]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started


def _vagrant_up(paths: Paths) -> None:
    run(
        ["vagrant", "up", "--no-provision"],
        remedy="see vagrant's message",
        timeout=BOOT_SECONDS,
        cwd=paths.root,
    )
    with Connection(paths.ssh_config, Machine(paths).name) as node:
        node.succeed("true")


def _bare_boot(paths: Paths, config: LabConfig, host: Host) -> float:
    """The same image, kernel, processor and memory without Vagrant and libvirt.

    In the lab's namespace: QEMU's own user network forwards its loopback to the guest.
    """
    port = "2222"
    key = (paths.ssh / "id_ed25519.pub").read_text()
    accelerated = host.acceleration.kvm
    command = [
        *("ip", "netns", "exec", paths.prefix, "qemu-system-x86_64"),
        *("-machine", "pc,accel=kvm" if accelerated else "pc,accel=tcg"),
        *("-cpu", "host" if accelerated else "max,cx16=off"),
        *("-m", str(config.node.memory_mib), "-smp", str(config.node.cpus)),
        *("-nodefaults", "-display", "none"),
        *("-kernel", str(host.image.folder / "vmlinuz")),
        *("-initrd", str(host.image.folder / "initrd.img")),
        *("-append", image.command_line(kvm=accelerated)),
        *("-drive", f"file={host.image.folder / 'root.raw'},format=raw,if=virtio,snapshot=on"),
        *("-nic", f"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{port}-:22"),
        *("-smbios", f"type=11,value=io.systemd.credential:ssh.authorized_keys.root={key}"),
    ]
    enter = namespace.proxy_command(paths.prefix).replace("%h", "127.0.0.1").replace("%p", port)
    started = time.monotonic()
    qemu = subprocess.Popen(as_root(command), stdin=subprocess.DEVNULL)
    try:
        while (
            subprocess.run(
                [
                    *("ssh", "-F", str(paths.ssh_config), "-o", f"ProxyCommand={enter}"),
                    *("-o", "ConnectTimeout=60", Machine(paths).name, "true"),
                ],
                capture_output=True,
                check=False,
            ).returncode
            != 0
        ):
            if time.monotonic() - started > BOOT_SECONDS or qemu.poll() is not None:
                raise LabError("the image does not boot in bare QEMU", "./lab doctor")
            time.sleep(0.2)
        return time.monotonic() - started
    finally:
        qemu.terminate()
        qemu.wait()


def _bare_race(node: Connection, repeats: int = REPEATS) -> tuple[float, float]:
    """Median seconds of kubelet's start to beyond its initialisation, and of the script.

    Timed on the node itself by its own shell: no ssh is in them.
    """
    start = (
        "systemctl stop kubelet; nft flush ruleset; systemctl restart iptables; "
        "c=$(journalctl -n 0 --show-cursor | sed -n 's/^-- cursor: //p'); s=$(date +%s%N); "
        "systemctl start kubelet; "
        f"journalctl -f -u kubelet --after-cursor \"$c\" | grep -q -m 1 '{BEYOND}'; "
        "echo $(($(date +%s%N) - s))"
    )
    script = f"s=$(date +%s%N); {SCRIPTS_ON_NODE[ORIGINAL]}; echo $(($(date +%s%N) - s))"

    def once(command: str) -> float:
        return int(node.succeed(command, timeout=300).split()[-1]) / 1e9

    return (
        median(once(start) for _ in range(repeats)),
        median(once(script) for _ in range(repeats)),
    )


def _trials(node: Node, config: LabConfig, bare: float, step: Step) -> Iterator[Figure]:
    with step(f"{REPEATS} trials of the original"):
        phases: dict[str, list[float]] = {}
        wholes = []
        for _ in range(REPEATS):
            started = time.monotonic()
            limit = config.limits.trial
            asked = Trial(SCRIPTS_ON_NODE[ORIGINAL], delay=0.2, limit=limit, azure_npm=False)
            answer = node.agent.ask(asked, timeout=2 * limit)
            wholes.append(time.monotonic() - started)
            if answer["error"]:
                raise LabError(f"a trial broke: {answer['error']}", "run the command again")
            for name, seconds in answer["phases"].items():
                phases.setdefault(name, []).append(seconds)
    yield Figure("one trial, beside kubelet's start plus the script", median(wholes), bare, 1.5)
    for name, taken in phases.items():
        yield Figure(f"of which {name}", median(taken))


def _explored(paths: Paths, node: Node, config: LabConfig, step: Step) -> Iterator[Figure]:
    """One schedule, from a fresh start and through a snapshot of where it branches off."""
    schedule = parse(STEPPING)
    script = SCRIPTS_ON_NODE[ORIGINAL]
    replayer = Replayer(node.agent, script, config.limits.trial)
    bares, fresh = [], []
    with step(f"{REPEATS} replays of {schedule}, a bare start and run before each"):
        reference = replayer.reference()
        for _ in range(REPEATS):
            replayer.release()
            bares.append(sum(_bare_race(node.connection, 1)))
            fresh.append(_timed(lambda: replayer.run(schedule, reference)))
    bare = median(bares)
    yield Figure("one replay from a fresh start, beside the same", median(fresh), bare, 1.5)
    branch, last = turns_of(schedule)[:BRANCH], turns_of(schedule)[BRANCH:]
    lazy, limit = lazy_in(schedule), config.limits.trial
    with (
        step(f"the same {REPEATS} times through a snapshot"),
        pristine(paths, [node], limit) as (snapshots,),
    ):
        walker = Walker(node.agent, snapshots, script, None, lazy, limit, lead=branch)
        walker.begin()
        restored = median(
            _timed(lambda: walker.visit((), last, read=as_seen)) for _ in range(REPEATS)
        )
        walker.close()
    yield Figure("one replay through a snapshot, beside the same", restored, bare, 1.0)


@contextmanager
def _fresh_clone(paths: Paths) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="chainrace-"))
    clone = folder / "lab"
    run(
        ["git", "clone", "--quiet", str(paths.root), str(clone)],
        remedy="commit your work first",
        timeout=60,
    )
    try:
        yield clone
    finally:
        libvirt.stop(Paths(clone))
        box.forget(Paths(clone))
        # libvirt's own folders are root's.
        run(as_root(["rm", "-rf", str(folder)]), remedy=f"remove {folder}", timeout=300)


def _lab_run(clone: Path) -> None:
    caches = {
        name: str(clone.parent / name.lower())
        for name in ("GOCACHE", "GOMODCACHE", "PIP_CACHE_DIR")
    }
    done = subprocess.run(
        # Go makes its module cache read-only; then the clone could not be removed.
        [clone / "lab", "run"],
        cwd=clone,
        env={**os.environ, **caches, "GOFLAGS": "-modcacherw"},
        check=False,
    )
    if done.returncode == LabError.exit_code:
        raise LabError("./lab run did not come to a verdict in the fresh clone", "see above")
