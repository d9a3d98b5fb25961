"""The life of the node's virtual machine, through Vagrant."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import vagrant

from chainrace.base.errors import LabError
from chainrace.base.paths import Paths
from chainrace.host import libvirt
from chainrace.host.setup import Host
from chainrace.host.shell import tail, to_its_end
from chainrace.settings.config import LimitsConfig

NODE = "node1"
# Of a command of Vagrant's, besides a boot: it may wait for one several times.
PROVISION_SECONDS = 600
BOOTS = 3
MOST_CONSOLE_BYTES = 16 * 2**20
IMAGE_HINT = "; docs/how-to/test-an-image.md says what an image needs"


class _Vagrant(vagrant.Vagrant):
    """Vagrant whose commands come to an end: each has so many seconds."""

    def __init__(self, limit: float, **settings: Any) -> None:
        super().__init__(**settings)
        self._limit = limit

    def _call_vagrant_command(self, args: Sequence[str | None]) -> None:
        """Raises subprocess.CalledProcessError and subprocess.TimeoutExpired."""
        command = self._make_vagrant_command(args)
        with self.out_cm() as out, self.err_cm() as err:
            to_its_end(
                command,
                timeout=self._limit,
                stdout=out,
                stderr=err,
                cwd=Path(self.root),
                env=self.env,
            ).check_returncode()


class Machine:
    """One node's VM. Vagrant's own words go to two logs that every error names."""

    def __init__(
        self,
        paths: Paths,
        name: str = NODE,
        limits: LimitsConfig = LimitsConfig(),  # noqa: B008 - frozen
    ) -> None:
        self._paths = paths
        self.name = name
        self.log = paths.logs / f"vagrant-{name}.log"
        self._errors = paths.logs / f"vagrant-{name}.err"
        self.limit = BOOTS * limits.boot + PROVISION_SECONDS  # seconds, of a command of Vagrant's
        self._vagrant = _Vagrant(
            self.limit,
            root=str(paths.root),
            out_cm=self._sink,
            err_cm=self._error_sink,
            env=dict(os.environ),
        )

    @contextmanager
    def _sink(self) -> Iterator[IO[str]]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a") as sink:
            yield sink

    @contextmanager
    def _error_sink(self) -> Iterator[IO[str]]:
        self._errors.parent.mkdir(parents=True, exist_ok=True)
        with self._errors.open("w") as sink:
            yield sink

    @contextmanager
    def _told(self, command: str, remedy: str) -> Iterator[None]:
        """A command of Vagrant's that fails, or does not end, is a LabError."""
        try:
            yield
        except subprocess.CalledProcessError as error:
            raise LabError(
                f"vagrant {command} {self.name} failed: {self._last_words()}", remedy
            ) from error
        except subprocess.TimeoutExpired as error:
            raise LabError(
                f"vagrant {command} {self.name} did not end within {error.timeout:.0f} s, and was "
                f"ended: {self._last_words()}",
                remedy,
            ) from error

    def _last_words(self) -> str:
        """The first line of what Vagrant complained of last; the rest is advice."""
        said = tail(self._errors, 100).strip()
        return said.splitlines()[0] if said else "it said nothing"

    @property
    def domain(self) -> str:
        """The name under which the lab's libvirt knows it."""
        return f"{self._paths.prefix}-{self.name}"

    def is_up(self) -> bool:
        """Whether it runs now (asked of libvirt: Vagrant takes seconds to say)."""
        return (
            libvirt.is_running(self._paths)
            and self.domain in libvirt.virsh(self._paths, "list", "--name").split()
        )

    def up(self, host: Host) -> None:
        """Boot it, and provision it unless its image is to be looked at first.

        One that runs stays. Raises LabError when Vagrant fails or does not end, and when the
        machine that runs was made from another image or kubelet than today's.
        """
        if libvirt.is_running(self._paths) and self.domain in libvirt.domains(self._paths):
            made_from = libvirt.virsh(self._paths, "dumpxml", self.domain)
            for part in (host.image.folder.name, host.disk):
                if part not in made_from:
                    raise LabError(
                        f"{self.name} is there, but was made from another image or kubelet",
                        "vagrant destroy -f, then run again",
                    )
        self.remove_leftovers()
        # QEMU would make its log readable for root alone, and this user may be another.
        console = self._paths.console(self.name)
        if not console.exists():
            console.touch(0o644)
        hint = f"see {self._errors} and {console}{IMAGE_HINT if host.own else ''}"
        with self._told("up", hint):
            self._vagrant.up(vm_name=self.name, provision=not host.own)

    def provision(self) -> None:
        """Lay provision/node on it. Raises LabError."""
        with self._told("provision", f"see {self._errors}"):
            self._vagrant.provision(vm_name=self.name)

    def remove_leftovers(self) -> None:
        """Remove a domain or volume of which Vagrant knows nothing, or a domain made by half.

        vagrant-libvirt would say that the name is already taken, wait ten minutes for the
        address of a domain without a network, or speak to one that still boots.
        """
        there = self.domain in libvirt.domains(self._paths)
        if there and self._is_whole():
            return
        if there:
            libvirt.remove_domain(self._paths, self.domain)
        libvirt.remove_volume(self._paths, f"{self.domain}.img")

    def _is_whole(self) -> bool:
        """Whether Vagrant came to provisioning it: then it writes down which it was."""
        kept = self._paths.root / ".vagrant" / "machines" / self.name / "libvirt"
        try:
            known, begun = ((kept / name).read_text() for name in ("id", "action_provision"))
        except FileNotFoundError:
            return False
        return begun == f"1.5:{known}"  # vagrant's action/builtin/provision.rb

    def destroy(self) -> None:
        """Remove it with its disk. Raises LabError when Vagrant fails or does not end."""
        with self._told("destroy", "./lab down"):
            self._vagrant.destroy(vm_name=self.name)


def console_size(path: Path) -> int:
    """How long a console's file is by now."""
    return path.stat().st_size if path.exists() else 0


def console_since(path: Path, offset: int) -> tuple[str, int]:
    """What a console has said after an offset, and the offset for the next call.

    Of more than `MOST_CONSOLE_BYTES` the last.
    """
    try:
        with path.open("rb") as file:
            left_out = max(0, file.seek(0, os.SEEK_END) - offset - MOST_CONSOLE_BYTES)
            file.seek(offset + left_out)
            data = file.read(MOST_CONSOLE_BYTES)
    except FileNotFoundError:
        return "", offset
    said = f"({left_out} bytes of the console are left out)\n" if left_out else ""
    return said + data.decode(errors="replace"), offset + left_out + len(data)
