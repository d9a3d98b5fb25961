"""What the gate asks of a node with systemd: units and the script begun, jobs, timers, ends."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
from contextlib import suppress

from chainrace.gate.kubelet.journal import Journal
from chainrace.gate.process import KUBELET_UNIT, SCRIPT_UNIT
from chainrace.gate.procevents import ProcessEvents
from chainrace.gate.shell import NodeError, run
from chainrace.gate.units import held_back_by, is_behind, jobs, main_pid
from chainrace.gate.whose import NEVER, busy_units, unit_of
from chainrace.gate.witness import Witness
from chainrace.model.services import SERVICE

DISKS = frozenset({"ext4", "xfs", "btrfs", "f2fs", "vfat", "tmpfs", "overlay", "squashfs", "erofs"})
# Where a unit's drop-ins lie that a `--prepare` file may have made (systemd.unit(5)).
DROP_INS = "/etc/systemd/system"
# Source: linux/random.h.
RNDADDENTROPY, RNDRESEEDCRNG = 0x40085203, 0x5207


class Systemd:
    """The node's own systemd starts both, and says what it still has to do."""

    subject_unit = KUBELET_UNIT
    by_mount = False

    def __init__(self) -> None:
        # One may be left of an agent that was killed.
        self._stop(SCRIPT_UNIT)
        self._before = self._at_work()
        self.busy = busy_units()

    @staticmethod
    def before_subject(*, boot: bool) -> list[str]:
        """The units that systemd orders kubelet behind, where both are wanted at once.

        That is so for the script's own unit, and at a boot for iptables.service.
        """
        units = (SCRIPT_UNIT, SERVICE) if boot else (SCRIPT_UNIT,)
        return [unit for unit in units if _orders(unit, KUBELET_UNIT)]

    unit_of = staticmethod(unit_of)
    jobs = staticmethod(jobs)
    held_back_by = staticmethod(held_back_by)
    is_behind = staticmethod(is_behind)
    journal = Journal
    witness = Witness

    @staticmethod
    def process_events() -> ProcessEvents:
        """The kernel's record of forks, executions and ends."""
        return ProcessEvents(everything=True)

    @staticmethod
    def file_systems() -> list[str]:
        """Mount points of all file systems that programs may be executed from, one each."""
        found: dict[int, str] = {}
        with open("/proc/self/mounts", encoding="utf-8") as file:
            for line in file:
                # /dev/vda / ext4 rw,noatime 0 0
                _, place, kind, *_ = line.split()
                if kind in DISKS:
                    with suppress(OSError):
                        found.setdefault(os.stat(place).st_dev, place)
        return list(found.values())

    @staticmethod
    def begin_unit(entropy: str, unit: str) -> None:
        """Start a unit. `entropy`, in hexadecimal: a restored node would draw the same."""
        data = bytes.fromhex(entropy)
        if data:
            with open("/dev/random", "wb") as device:
                fcntl.ioctl(
                    device, RNDADDENTROPY, struct.pack("ii", 8 * len(data), len(data)) + data
                )
                fcntl.ioctl(device, RNDRESEEDCRNG)
        # It may be ordered behind a unit that the gate holds.
        run(["systemctl", "start", "--no-block", unit])

    @staticmethod
    def begin_script(script: str) -> None:
        """Start the script in a unit of its own, whose end ends nothing that it left running."""
        if not os.access(script, os.X_OK):
            raise NodeError(f"{script} is not an executable file on this node")
        run(
            [
                *("systemd-run", "--quiet", "--collect", "--no-block", f"--unit={SCRIPT_UNIT}"),
                *("--property=Type=exec", "--property=RemainAfterExit=yes"),
                script,
            ]
        )

    @staticmethod
    def subject_pid() -> int:
        """Kubelet's process; 0 where it has none."""
        return main_pid(KUBELET_UNIT)

    @staticmethod
    def subject_state() -> str:
        """Systemd's word on kubelet: active, inactive, failed."""
        return Systemd.unit_state(KUBELET_UNIT)

    @staticmethod
    def unit_state(unit: str) -> str:
        """Systemd's word on a unit: active, activating, inactive, failed."""
        return run(["systemctl", "show", "-P", "ActiveState", unit]).strip()

    @staticmethod
    def invocation(unit: str) -> str:
        """The number that systemd gave to a unit's latest start; empty before the first."""
        return run(["systemctl", "show", "-P", "InvocationID", unit]).strip()

    def new_units(self) -> list[str]:
        """The units at work now that were not when this began: a timer waits, a service runs."""
        return sorted(set(self._at_work()) - set(self._before))

    @staticmethod
    def _at_work() -> list[str]:
        lines = run(["systemctl", "list-units", "--type=timer,service", "--no-legend", "--plain"])
        found = []
        for line in lines.splitlines():
            # run-r12.timer loaded active waiting [systemd-run] sleep 2
            unit, _, active, state, *_ = line.split()
            ours = unit not in (KUBELET_UNIT, SCRIPT_UNIT) and not unit.startswith(NEVER)
            if ours and active not in ("inactive", "failed") and state not in ("exited", "elapsed"):
                found.append(unit)
        return found

    def end(self, pids: list[int]) -> None:
        """End kubelet, the script, and what followed from it."""
        for unit in self.new_units():
            self._stop(unit)
        self._stop(KUBELET_UNIT)
        self._stop(SCRIPT_UNIT)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @staticmethod
    def _stop(unit: str) -> None:
        """Most often it is gone already, and that is no error."""
        subprocess.run(["systemctl", "stop", unit], stderr=subprocess.DEVNULL, check=False)


def _orders(first: str, second: str) -> bool:
    """Whether a drop-in of the first unit has it come before the second."""
    folder = os.path.join(DROP_INS, f"{first}.d")
    if not os.path.isdir(folder):
        return False
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            # a line: Before=kubelet.service
            if any(line.startswith("Before=") and second in line for line in file):
                return True
    return False
