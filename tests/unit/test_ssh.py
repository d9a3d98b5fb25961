"""A node that talks for ever, drips, or never answers: a real ssh server on a pair of sockets."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import paramiko
import pytest

from chainrace.base.errors import LabError
from chainrace.node import ssh
from chainrace.node.ssh import Connection

MIB = 2**20
KEY = paramiko.ECDSAKey.generate()


def echo(channel: paramiko.Channel) -> None:
    channel.sendall(b"out\n")
    channel.sendall_stderr(b"err\n")
    channel.send_exit_status(3)


def both(channel: paramiko.Channel) -> None:
    """More on each stream than a window takes, the second one first."""
    channel.sendall_stderr(b"e" * 3 * MIB)
    channel.sendall(b"o" * 3 * MIB)
    channel.send_exit_status(0)


def flood(channel: paramiko.Channel) -> None:
    while True:
        channel.sendall(b"x" * 65536)


def flood_stderr(channel: paramiko.Channel) -> None:
    while True:
        channel.sendall_stderr(b"x" * 65536)


def drip(channel: paramiko.Channel) -> None:
    while True:
        channel.sendall(b"x")
        time.sleep(0.02)


def drip_stderr(channel: paramiko.Channel) -> None:
    while True:
        channel.sendall_stderr(b"x")
        time.sleep(0.02)


def silent(channel: paramiko.Channel) -> None:
    while not channel.closed:
        time.sleep(0.02)


def without_status(channel: paramiko.Channel) -> None:
    channel.sendall(b"all of it")
    channel.shutdown_write()
    silent(channel)


def keep(channel: paramiko.Channel) -> None:
    """What `cat >FILE` does."""
    while channel.recv(65536):
        pass
    channel.send_exit_status(0)


PROGRAMS = (echo, both, flood, flood_stderr, drip, drip_stderr, silent, without_status)
COMMANDS: dict[str, Callable[[paramiko.Channel], None]] = {
    **{one.__name__: one for one in PROGRAMS},
    "cat >/a": keep,
    "cat >/full": silent,
}


class Server(paramiko.ServerInterface):
    """Lets everybody in, and runs the commands above."""

    def check_auth_none(self, username: str) -> int:
        del username
        return paramiko.common.AUTH_SUCCESSFUL

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        del username, key
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del kind, chanid
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if command == b"deaf":
            time.sleep(2)
        # paramiko says that the command has begun once this has returned.
        begins = threading.Timer(0.02, self._run, (channel, command.decode()))
        begins.daemon = True
        begins.start()
        return True

    @staticmethod
    def _run(channel: paramiko.Channel, command: str) -> None:
        with suppress(OSError, EOFError, KeyError):
            COMMANDS[command](channel)
        channel.close()


@pytest.fixture
def node() -> Iterator[Connection]:
    here, there = socket.socketpair()
    server = paramiko.Transport(there)
    server.add_server_key(KEY)
    server.start_server(event=threading.Event(), server=Server())
    client = paramiko.Transport(here)
    client.start_client()
    client.auth_none("root")
    connection = object.__new__(Connection)
    connection.name, connection.user = "node1", "root"
    connection.client = SimpleNamespace(get_transport=lambda: client)  # type: ignore[assignment]
    yield connection
    client.close()
    server.close()


CONFIG = """Host node1
  HostName 192.0.2.1
  User root
  IdentityFile {folder}/key
  UserKnownHostsFile {folder}/known
  StrictHostKeyChecking no
  ProxyCommand sh {folder}/proxy
"""
# It ends before a word until it has been called so often, as an sshd that refuses for a while.
REFUSES_FIRST = """echo >>{folder}/calls
[ "$(wc -l <{folder}/calls)" -gt {times} ] || exit 1
exec nc -U {folder}/sshd
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """An ssh config whose proxy fails at first; the folder has a file `calls` of one line each."""
    paramiko.ECDSAKey.generate().write_private_key_file(str(tmp_path / "key"))
    (tmp_path / "known").touch()
    path = tmp_path / "config"
    path.write_text(CONFIG.format(folder=tmp_path))
    return path


def calls(config: Path) -> int:
    return len((config.parent / "calls").read_text().splitlines())


def test_a_node_that_ends_a_connection_before_its_first_word_is_asked_again(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "LOOK_SECONDS", 0.01)
    folder = config.parent
    (folder / "proxy").write_text(REFUSES_FIRST.format(folder=folder, times=2))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "sshd"))
        listening.listen()
        served: list[paramiko.Transport] = []

        def serve() -> None:
            transport = paramiko.Transport(listening.accept()[0])
            transport.add_server_key(KEY)
            served.append(transport)
            transport.start_server(event=threading.Event(), server=Server())

        threading.Thread(target=serve, daemon=True).start()
        with Connection(config, "node1") as connection:
            assert connection.run("echo").code == 3
        served[0].close()
    assert calls(config) == 3


def test_a_node_that_never_says_a_word_is_reported_in_time(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(ssh, "CONNECT_SECONDS", 0.5)
    folder = config.parent
    (folder / "proxy").write_text(REFUSES_FIRST.format(folder=folder, times=1000))
    with pytest.raises(LabError, match=r"^node1 does not answer ssh: .*\n  to do: is it up\?"):
        Connection(config, "node1")
    assert calls(config) > 1


def test_a_refusal_after_the_first_word_is_final(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "LOOK_SECONDS", 0.01)
    folder = config.parent
    (folder / "proxy").write_text(
        f"echo >>{folder}/calls\necho SSH-2.0-OpenSSH_10.0\nexec sleep 0.1\n"
    )
    with pytest.raises(LabError, match="does not answer ssh"):
        Connection(config, "node1")
    assert calls(config) == 1


def test_a_command_is_told_by_its_code_and_both_its_streams(node: Connection) -> None:
    assert node.run("echo") == ssh.Result(3, "out\n", "err\n")


def test_a_command_that_fills_one_stream_before_the_other_is_read_to_its_end(
    node: Connection,
) -> None:
    said = node.run("both", timeout=60)
    assert (said.code, len(said.stdout), len(said.stderr)) == (0, 3 * MIB, 3 * MIB)


@pytest.mark.parametrize("command", ["flood", "flood_stderr"])
def test_a_node_that_never_stops_talking_is_cut_off(
    node: Connection, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(ssh, "MOST_BYTES", MIB)
    with pytest.raises(LabError, match=rf"^node1: {command} said more than 64 MiB\n"):
        node.run(command, timeout=60)
    assert node.run("echo").code == 3


@pytest.mark.parametrize("command", ["drip", "drip_stderr", "silent", "without_status"])
def test_the_limit_in_time_is_for_the_whole_of_a_command(node: Connection, command: str) -> None:
    begun = time.monotonic()
    with pytest.raises(LabError, match=rf"^node1: {command} did not end within 0 s\n"):
        node.run(command, timeout=0.4)
    assert 0.4 <= time.monotonic() - begun < 5


def test_a_node_that_talks_without_a_pause_is_cut_off_in_time_too(
    node: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "MOST_BYTES", 2**40)
    begun = time.monotonic()
    with pytest.raises(LabError, match="flood did not end within 0 s"):
        node.run("flood", timeout=0.4)
    assert time.monotonic() - begun < 5


def test_a_node_that_does_not_even_begin_a_command_is_not_waited_for(
    node: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "CONNECT_SECONDS", 0.4)
    begun = time.monotonic()
    with pytest.raises(LabError, match="takes no command"):
        node.run("deaf")
    assert time.monotonic() - begun < 1.5


def test_a_file_is_put_whole_or_not_within_its_time(
    node: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.put(b"x" * 3 * MIB, "/a")
    monkeypatch.setattr(ssh, "CONNECT_SECONDS", 1.0)
    with pytest.raises(LabError, match=r"^node1: /full cannot be written: not within 1 s\n"):
        node.put(b"x" * 16 * MIB, "/full")
