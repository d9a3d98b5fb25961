"""ssh to one node with paramiko. Every command has limits: none hangs or talks for ever."""

import logging
import select
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import paramiko

from chainrace.base.errors import LabError
from chainrace.base.narration import running
from chainrace.host.keys import ROOT
from chainrace.node.limit import MOST_BYTES, SAYS_TOO_MUCH, Deadline

CONNECT_SECONDS = 60.0
LOOK_SECONDS = 1.0
PIECE = 1 << 16
# It prints tracebacks of its own threads; what matters of them is in the LabError.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Result:
    """What a command of the node ended with."""

    code: int
    stdout: str
    stderr: str


class _Proxy:
    """A socket whose other end a proxy command serves (ssh_config(5)).

    paramiko's own ProxyCommand reads in an endless loop once the command has ended.
    """

    def __init__(self, command: str) -> None:
        self.socket, its = socket.socketpair()
        with its:
            self._process = subprocess.Popen(
                shlex.split(command),
                stdin=its.fileno(),
                stdout=its.fileno(),
                stderr=subprocess.DEVNULL,
            )

    def close(self) -> None:
        self.socket.close()
        self._process.terminate()
        self._process.wait()


class Connection:
    """An ssh connection as the lab's ssh config describes it. Use as a context manager.

    `client` is paramiko's own, for libraries that take one.
    """

    def __init__(self, config: Path, name: str) -> None:
        """Connect. Raises LabError when the node does not answer."""
        self.name = name
        self._config = config
        self.client = paramiko.SSHClient()
        self._connect()

    def _connect(self) -> None:
        """Connect as soon as the node answers.

        An sshd under load, or one that has just begun, may end a connection before its first
        word: that says nothing yet. Raises LabError for one that refuses after it, or when
        `CONNECT_SECONDS` have passed.
        """
        name = self.name
        try:
            entry = paramiko.SSHConfig.from_path(str(self._config)).lookup(name)
        except FileNotFoundError as error:
            raise LabError(f"there is no {self._config}", "./lab setup") from error
        deadline = time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                self._connect_once(entry, deadline - time.monotonic())
            except (paramiko.SSHException, OSError, EOFError) as error:
                self._proxy.close()
                spoke = (transport := self.client.get_transport()) and transport.remote_version
                if spoke or time.monotonic() + LOOK_SECONDS > deadline:
                    raise LabError(
                        f"{name} does not answer ssh: {error or type(error).__name__}",
                        "is it up? vagrant status; its console is under .lab/log",
                    ) from error
                time.sleep(LOOK_SECONDS)
            else:
                return

    def _connect_once(self, entry: paramiko.SSHConfigDict, seconds: float) -> None:
        """Raises paramiko.SSHException, OSError, EOFError."""
        self.client.load_host_keys(entry["userknownhostsfile"])
        strict = entry["stricthostkeychecking"] == "yes"
        self.client.set_missing_host_key_policy(
            paramiko.RejectPolicy() if strict else paramiko.AutoAddPolicy()
        )
        self.user = entry["user"]
        self._proxy = _Proxy(entry["proxycommand"])
        self.client.connect(
            entry["hostname"],
            username=entry["user"],
            key_filename=entry["identityfile"],
            sock=self._proxy.socket,
            timeout=seconds,
            banner_timeout=seconds,
            auth_timeout=seconds,
            allow_agent=False,
            look_for_keys=False,
        )

    @contextmanager
    def closed_meanwhile(self) -> Iterator[None]:
        """Closed inside, the same again afterwards: no connection outlives a snapshot."""
        self.close()
        try:
            yield
        finally:
            self._connect()

    def reboot(self, *, timeout: float) -> None:
        """Boot the node anew and connect to it again, its units started.

        `timeout` in seconds; raises LabError past it.
        """
        asks = "cat /proc/sys/kernel/random/boot_id"
        before = self.succeed(asks)
        deadline = time.monotonic() + timeout
        self.run("systemctl reboot --no-block")
        while time.monotonic() < deadline:
            self.close()
            with suppress(LabError):
                self._connect()
                if self.succeed(asks) != before:
                    self.run("systemctl is-system-running --wait", timeout=timeout)
                    return
            time.sleep(LOOK_SECONDS)
        raise LabError(
            f"{self.name} did not come back from its reboot within {timeout:.0f} s",
            "see the node's console under .lab/log",
        )

    def run(self, command: str, *, timeout: float = 60) -> Result:
        """Run a shell command to its end.

        `timeout` in seconds, for all of it. Raises LabError past it, and for a command that says
        more than `MOST_BYTES`.
        """
        deadline = Deadline(timeout)
        channel = self.open(command)
        try:
            with running(self.name, command):
                out, err = self._said(channel, command, deadline)
                code = _exit_status(channel, deadline)
        except TimeoutError as error:
            raise LabError(
                f"{self.name}: {command} did not end within {timeout:.0f} s", self._look
            ) from error
        finally:
            close(channel)
        return Result(code, out.decode(errors="replace"), err.decode(errors="replace"))

    def _said(
        self, channel: paramiko.Channel, command: str, deadline: Deadline
    ) -> tuple[bytes, bytes]:
        """Both streams of a command, read side by side: who fills one may wait on the other.

        Raises TimeoutError past the deadline, LabError for more than `MOST_BYTES`.
        """
        out, err = bytearray(), bytearray()
        comes = select.poll()
        comes.register(channel.fileno(), select.POLLIN)
        while True:
            left = deadline.left()
            # In this order: nothing comes after the end.
            ended = channel.eof_received or channel.closed
            if channel.recv_ready():
                out += channel.recv(PIECE)
            elif channel.recv_stderr_ready():
                err += channel.recv_stderr(PIECE)
            elif ended:
                return bytes(out), bytes(err)
            else:
                comes.poll(1000 * left)
            if len(out) + len(err) > MOST_BYTES:
                raise LabError(f"{self.name}: {command} {SAYS_TOO_MUCH}", self._look)

    @property
    def _look(self) -> str:
        return f"look at the node: ./lab ssh {self.name}"

    def succeed(self, command: str, *, timeout: float = 60) -> str:
        """Run a command that must succeed; returns what it prints. Raises LabError."""
        result = self.run(command, timeout=timeout)
        if result.code != 0:
            said = (result.stderr.strip() or result.stdout.strip()).splitlines()
            raise LabError(
                f"{self.name}: {command} failed with {result.code}: {said[-1] if said else ''}",
                self._look,
            )
        return result.stdout

    def open(self, command: str) -> paramiko.Channel:
        """Start a command as root and return its channel, for those that talk for long."""
        if self.user != ROOT:
            command = f"sudo -n sh -c {shlex.quote(command)}"
        transport = self.client.get_transport()
        if transport is None or not transport.is_active():
            raise LabError(f"{self.name}: the ssh connection is gone", "run the command again")
        try:
            channel = transport.open_session(timeout=CONNECT_SECONDS)
            # paramiko would wait for ever for a node that does not answer to this.
            with _closed_after(channel, CONNECT_SECONDS):
                channel.exec_command(command)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise LabError(
                f"{self.name} takes no command: {error or type(error).__name__}",
                "is it up? vagrant status; its console is under .lab/log",
            ) from error
        return channel

    def put(self, data: bytes, path: str) -> None:
        """Write a file on the node. Raises LabError."""
        deadline = Deadline(CONNECT_SECONDS)
        channel = self.open(f"cat >{shlex.quote(path)}")
        try:
            send(channel, data, deadline)
            channel.shutdown_write()
            code = _exit_status(channel, deadline)
        except OSError as error:
            why = str(error) or f"not within {CONNECT_SECONDS:.0f} s"
            raise LabError(f"{self.name}: {path} cannot be written: {why}", "try again") from error
        finally:
            channel.close()
        if code != 0:
            raise LabError(f"{self.name}: {path} cannot be written", "is the node's disk full?")

    def close(self) -> None:
        self.client.close()
        self._proxy.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def close(channel: paramiko.Channel) -> None:
    """Close a channel that has been polled; what still comes for it does no harm.

    paramiko's own thread writes to the descriptor that was polled, and its whole connection ends
    where that is closed just then (paramiko.pipe.PosixPipe): so nothing tells it any more first.
    """
    for buffer in (channel.in_buffer, channel.in_stderr_buffer):
        buffer.set_event(threading.Event())
        buffer.read_ready()  # it waits for whoever still writes
    channel.close()


def send(end: paramiko.Channel | socket.socket, data: bytes, deadline: Deadline) -> None:
    """Send all of it. Raises OSError, past the deadline TimeoutError."""
    while data:
        end.settimeout(deadline.left())
        data = data[end.send(data) :]


@contextmanager
def _closed_after(channel: paramiko.Channel, seconds: float) -> Iterator[None]:
    """Close a channel, and so end whatever waits on it, where this is not left in time."""
    timer = threading.Timer(seconds, channel.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _exit_status(channel: paramiko.Channel, deadline: Deadline) -> int:
    """What a command ended with. Raises TimeoutError."""
    if not channel.status_event.wait(deadline.left()):
        raise TimeoutError
    return channel.recv_exit_status()
