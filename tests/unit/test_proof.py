"""Every change of rules must be that of the step that was let go: else nothing is proved."""

import errno
import os
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from chainrace.gate import proof as proofs
from chainrace.gate.looks import CONNECTS, EXISTS, READS, SIGNALS, Look
from chainrace.gate.process import DAEMON, Command
from chainrace.gate.procevents import Forked
from chainrace.gate.proof import Proof, Settled
from chainrace.gate.shell import NodeError
from chainrace.gate.whose import Owners
from chainrace.gate.witness import Change
from chainrace.gate.written import Files
from chainrace.model.actors import KUBELET

NFT = "xtables-nft-multi"
MAIN, STRANGER, KUBELETS = 5_000_100, 5_000_900, 5_000_050  # no such processes are there
SCRIPT = "/run/chainrace-own.sh"
UNITS = {
    MAIN: "chainrace-script.service",
    STRANGER: "cron.service",
    KUBELETS: "kubelet.service",
}


@dataclass
class Kernel:
    """What the kernel tells: its record of changes, how many commits there were, files written."""

    generation: int = 7
    records: list[Change] = field(default_factory=list)
    written: dict[str, set[int]] = field(default_factory=dict)
    read: dict[str, set[int]] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    looked: list[Look] = field(default_factory=list)
    unwatched: str = ""

    def change(self, pid: int, table: str = "filter", family: str = "ipv4", **more: Any) -> None:
        """A commit of this process, in the node's own namespace unless `more` says otherwise."""
        self.generation += 1
        self.record(pid, table, family, **{"generation": self.generation, **more})

    def record(self, pid: int, table: str, family: str = "ipv4", **more: Any) -> None:
        about = {"program": "iptables", "op": "nft_register_rule", "entries": 1, **more}
        self.records.append(Change(table=table, family=family, pid=pid, **about))

    def changes(self) -> list[Change]:
        found, self.records = self.records, []
        return found

    def looks(self) -> list[Look]:
        found, self.looked = self.looked, []
        return found

    def take(self, readers: Container[int]) -> Files:
        read = {path: {pid for pid in pids if pid in readers} for path, pids in self.read.items()}
        found = Files(self.written, read)
        self.written, self.read = {}, {}
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(proofs, "_generation", lambda: made.generation)
    monkeypatch.setattr(proofs, "Written", lambda _: made)
    monkeypatch.setattr(
        proofs,
        "digest_files",
        lambda paths: {path: made.contents.get(path, "absent") for path in paths},
    )
    return made


def owners() -> Owners:
    found = Owners(
        "kubelet.service",
        {"chainrace-script.service": "s"},
        lambda pid: UNITS.get(pid, ""),
        {"cron.service"},
        set(),
    )
    found.of(MAIN)
    return found


@pytest.fixture
def begin(kernel: Kernel) -> Iterator[Callable[[], Proof]]:
    made: list[Proof] = []

    def new() -> Proof:
        made.append(Proof(owners(), lambda: kernel, ["/"], SCRIPT))  # type: ignore[arg-type, return-value]
        return made[-1]

    yield new
    for one in made:
        one.close()


def command(pid: int, program: str = "iptables", *, actor: str = "script", **more: Any) -> Command:
    return Command(pid, actor, program, [], 0.0, exe=more.pop("exe", NFT), **more)


def step(proof: Proof, one: Command, lane: str = "s") -> None:
    """A process is let go as a lane's step."""
    proof.begin(lane)
    proof.let_go(one)


def test_a_change_of_the_step_that_was_let_go_is_no_doubt(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    proof = begin()
    proof.take_changed()
    step(proof, command(MAIN))
    kernel.change(MAIN)
    proof.settle()
    assert proof.doubts == []
    assert proof.take_changed() == {("ipv4", "filter")}
    assert proof.take_changed() == set()


def test_before_the_first_look_everything_may_have_changed(begin: Callable[[], Proof]) -> None:
    proof = begin()
    assert proof.take_changed() is None
    assert proof.take_changed() == set()


@pytest.mark.parametrize("lane", ["s", "k"])
def test_a_process_of_nobodys_that_changes_rules_is_a_doubt(
    kernel: Kernel, begin: Callable[[], Proof], lane: str
) -> None:
    proof = begin()
    proof.take_changed()
    step(proof, command(MAIN, actor=KUBELET if lane == "k" else "script"), lane)
    kernel.change(STRANGER, "nat", program="iptables-rest")
    proof.settle()
    who = f"iptables-rest (pid {STRANGER}) in cron.service"
    assert proof.doubts == [f"{who} changed ipv4/nat: it is nobody's who was held"]
    assert proof.take_changed() == {("ipv4", "nat")}


def test_one_that_is_gone_is_one_too(kernel: Kernel, begin: Callable[[], Proof]) -> None:
    proof = begin()
    step(proof, command(MAIN))
    kernel.change(2**22 + 9)
    proof.settle()
    assert "in a unit that is gone changed ipv4/filter" in proof.doubts[0]


def test_a_process_of_the_scripts_that_was_not_held_is_a_doubt(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    proof = begin()
    proof._owners.feed(Forked(MAIN, MAIN + 1))  # noqa: SLF001
    step(proof, command(MAIN))
    kernel.change(MAIN + 1, program="python3")
    proof.settle()
    assert proof.doubts == ["python3 changed ipv4/filter by itself, unheld"]


def test_one_of_kubelets_that_was_not_held_is_a_doubt(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    proof = begin()
    step(proof, command(MAIN))
    kernel.change(KUBELETS)
    proof.settle()
    assert proof.doubts == ["iptables of kubelet changed ipv4/filter without being held"]


@pytest.mark.parametrize(
    ("lane", "actor"), [("k", "script"), ("s", KUBELET), ("x", "script"), ("", "script")]
)
def test_a_change_when_it_was_not_its_turn_is_a_doubt(
    kernel: Kernel, begin: Callable[[], Proof], lane: str, actor: str
) -> None:
    proof = begin()
    step(proof, command(MAIN, actor=actor), "k" if actor == KUBELET else "s")
    proof.settle()
    if lane:
        proof.begin(lane)
    kernel.change(MAIN)
    proof.settle()
    assert proof.doubts == ["iptables changed ipv4/filter when it was not its turn"]


def test_of_the_scripts_own_lanes_any_may_change_rules_in_the_turn_of_another(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    """One that was let go before may go on with it: which one it was is in its history."""
    proof = begin()
    step(proof, command(MAIN), "t")
    kernel.change(MAIN)
    proof.settle()
    assert proof.doubts == []


def test_an_unknown_program_that_changes_rules_is_a_doubt(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    proof = begin()
    step(proof, command(MAIN, "python3", exe="python3.13", path="/nowhere"))
    kernel.change(MAIN, program="python3")
    proof.settle()
    (doubt,) = proof.doubts
    assert doubt.startswith("python3 changed ipv4/filter by itself: how many steps it takes")


@pytest.mark.parametrize("exe", sorted(proofs.KNOWN))
def test_a_known_one_is_none_whatever_it_is_called_by(
    kernel: Kernel, begin: Callable[[], Proof], exe: str
) -> None:
    proof = begin()
    step(proof, command(MAIN, "my-firewall", exe=exe))
    kernel.change(MAIN)
    proof.settle()
    assert proof.doubts == []


def test_nor_a_copy_of_one(
    kernel: Kernel,
    begin: Callable[[], Proof],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(proofs, "FOLDERS", (str(tmp_path),))
    (tmp_path / NFT).write_bytes(b"iptables")
    for name, content in (("copy", b"iptables"), ("other", b"another")):
        (tmp_path / name).write_bytes(content)
        proof = begin()
        step(proof, command(MAIN, exe=name, path=str(tmp_path / name)))
        kernel.change(MAIN)
        proof.settle()
        assert bool(proof.doubts) is (name == "other")


def test_an_unknown_program_that_changes_nothing_is_no_doubt(begin: Callable[[], Proof]) -> None:
    proof = begin()
    step(proof, command(MAIN, "python3", exe="python3.13"))
    proof.settle()
    assert proof.doubts == []


def test_changes_of_another_namespace_are_nobodys_business(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    """Their generations are their own: they are none of those that this namespace came to."""
    proof = begin()
    proof.take_changed()
    step(proof, command(MAIN))
    kernel.record(STRANGER, "filter", generation=2)
    kernel.record(STRANGER, "nat", generation=4711)
    proof.settle()
    assert proof.doubts == []
    assert proof.take_changed() == set()


def test_not_even_where_their_count_comes_to_be_the_same(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    """The commit that made it is one of ours, and accounted for."""
    proof = begin()
    step(proof, command(MAIN))
    kernel.change(MAIN)
    kernel.record(STRANGER, "filter", generation=kernel.generation)
    proof.settle()
    assert proof.doubts == []


def test_but_one_of_this_namespace_beside_the_steps_own_is_a_doubt(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    proof = begin()
    step(proof, command(MAIN))
    kernel.change(MAIN)
    kernel.change(STRANGER)
    proof.settle()
    assert len(proof.doubts) == 1
    assert "cron.service" in proof.doubts[0]


def test_a_step_that_runs_in_another_namespace_changes_nothing_here(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    proof = begin()
    proof.take_changed()
    step(proof, command(MAIN, foreign=True))
    kernel.record(MAIN, "filter", generation=3)
    kernel.record(MAIN, "filter", generation=None)
    proof.settle()
    assert proof.doubts == []
    assert proof.take_changed() == set()


def test_one_that_was_foreign_and_changes_this_namespace_is_a_doubt(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    """It came back by setns(2)."""
    proof = begin()
    step(proof, command(MAIN, "nsenter", foreign=True, exe="nsenter"))
    kernel.change(MAIN)
    proof.settle()
    assert proof.doubts


def test_a_change_that_no_record_tells_of_is_a_doubt(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    proof = begin()
    step(proof, command(MAIN))
    kernel.generation += 1
    proof.settle()
    assert proof.doubts == ["the kernel's rules changed, and its record does not say by whom"]


@pytest.mark.parametrize(
    ("cmdline", "space", "doubted"),
    [
        (b"iptables\0", "net:[1]", True),
        (b"iptables\0", "net:[2]", False),
        (b"", "net:[1]", False),  # a kernel thread takes a namespace down
    ],
)
def test_of_the_legacy_backend_the_namespace_itself_is_looked_at(
    kernel: Kernel,
    begin: Callable[[], Proof],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    *,
    cmdline: bytes,
    space: str,
    doubted: bool,
) -> None:
    (tmp_path / "cmdline").write_bytes(cmdline)
    real = open
    monkeypatch.setattr(
        proofs,
        "open",
        lambda path, *rest, **more: real(tmp_path / Path(path).name, *rest, **more),
        raising=False,
    )
    monkeypatch.setattr(os, "readlink", lambda path: "net:[1]" if "self" in path else space)
    proof = begin()
    step(proof, command(MAIN))
    kernel.record(STRANGER, "filter", generation=None)
    proof.settle()
    assert bool(proof.doubts) is doubted


def test_a_legacy_change_of_one_that_is_gone_is_a_doubt(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    proof = begin()
    step(proof, command(MAIN))
    kernel.record(STRANGER, "filter", generation=None)
    proof.settle()
    assert proof.doubts


def test_a_node_whose_kernel_keeps_no_record_proves_nothing(kernel: Kernel) -> None:
    for error in (NodeError("no audit"), OSError(errno.EPERM, "not permitted")):

        def none(error: Exception = error) -> Any:
            raise error

        with Proof(owners(), none, ["/"], SCRIPT) as proof:
            assert "the kernel keeps no record of changes of rules" in proof.doubts[0]
            step(proof, command(MAIN))
            kernel.generation += 1
            proof.settle()
            assert proof.take_changed() is None  # all must be read each time
            assert proof.take_changed() is None


def test_where_written_files_cannot_be_seen_nothing_is_proved(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    kernel.refused = ["/mnt"]
    assert begin().doubts == ["which files are written cannot be seen on /mnt"]


def test_a_doubt_is_told_once(begin: Callable[[], Proof]) -> None:
    proof = begin()
    for _ in range(2):
        proof.doubt("why")
    assert proof.doubts == ["why"]


def wrote(kernel: Kernel, proof: Proof, **files: str | None) -> str:
    """A step of the script's that leaves these files; None for one that is gone again."""
    step(proof, command(MAIN))
    for name, content in files.items():
        path = f"/srv/{name}"
        kernel.written[path] = {MAIN}
        kernel.contents.pop(path, None)
        if content is not None:
            kernel.contents[path] = content
    return proof.settle()[0]


def test_what_a_step_wrote_is_told_by_path_and_content(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    proof = begin()
    told = [
        wrote(kernel, proof),
        wrote(kernel, proof, a="1"),
        wrote(kernel, proof, a="2"),
        wrote(kernel, proof, b="1"),
        wrote(kernel, proof, a="1", b="1"),
    ]
    assert told[0] == ""
    assert len(set(told)) == 5
    assert wrote(kernel, proof, a="1") == told[1]


def test_a_file_that_was_there_and_is_gone_is_told_one_that_never_was_is_not(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    proof = begin()
    assert wrote(kernel, proof, tmp_4711=None) == ""
    there = wrote(kernel, proof, a="1")
    assert wrote(kernel, proof, a=None) not in ("", there)


def test_what_others_write_and_what_is_no_file_is_left_out(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    proof = begin()
    step(proof, command(MAIN))
    kernel.written = {
        "/var/log/kubelet.log": {KUBELETS, STRANGER},
        "/run/systemd/x": {MAIN},
        "/proc/sys/net/x": {MAIN},
        "/dev/null": {MAIN},
        "/run/xtables.lock": {MAIN},
    }
    kernel.contents = dict.fromkeys(kernel.written, "content")
    assert proof.settle() == Settled()


def test_what_a_subjects_own_program_writes_is_left_out_what_another_adds_is_not(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    """Docker's files have the numbers of its networks in them, which it draws by chance."""
    proof = begin()
    proof._owners.feed(Forked(MAIN, MAIN + 1))  # noqa: SLF001
    step(proof, command(MAIN, "dockerd", kind=DAEMON))
    kernel.written, kernel.contents = {"/srv/network": {MAIN}}, {"/srv/network": "4711"}
    assert proof.settle() == Settled()
    kernel.written["/srv/network"] = {MAIN, MAIN + 1}
    assert proof.settle()[0] != ""


def test_what_a_process_of_the_scripts_that_has_ended_wrote_is_its_own(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    proof = begin()
    proof._owners.feed(Forked(MAIN, MAIN + 1))  # noqa: SLF001
    proof._owners.script.pop(MAIN + 1)  # noqa: SLF001
    kernel.written, kernel.contents = {"/srv/a": {MAIN + 1}}, {"/srv/a": "1"}
    assert proof.settle()[0] != ""


def test_who_holds_the_lock_is_whose_process_it_is(
    begin: Callable[[], Proof], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proof = begin()
    lock = tmp_path / "xtables.lock"
    monkeypatch.setattr(proofs, "LOCK", str(lock))
    assert proof.lock() == ""
    lock.touch()
    inode = lock.stat().st_ino
    locks = tmp_path / "locks"
    monkeypatch.setattr(
        proofs, "open", lambda *_, **__: locks.open(encoding="ascii"), raising=False
    )
    for lines, whose in (
        ("", ""),
        (f"1: FLOCK  ADVISORY  WRITE {MAIN} 00:19:{inode} 0 EOF\n", "script"),
        (f"1: FLOCK  ADVISORY  WRITE {KUBELETS} 00:19:{inode} 0 EOF\n", "subject"),
        (f"1: FLOCK  ADVISORY  WRITE {MAIN} 00:19:{inode + 1} 0 EOF\n", ""),
        (f"1: -> FLOCK  ADVISORY  WRITE {MAIN} 00:19:{inode} 0 EOF\n", ""),
    ):
        locks.write_text(lines)
        assert proof.lock() == whose


def test_a_kernel_without_nftables_is_at_generation_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses() -> int:
        raise OSError

    monkeypatch.setattr(proofs, "generation", refuses)
    assert proofs._generation() == 0  # noqa: SLF001


@pytest.mark.parametrize(
    ("writer", "reader", "seen"),
    [
        ("step", "shell", True),
        ("step", "step", False),  # grep: a step, whose answer is known
        ("shell", "shell", False),  # it knows what it wrote
        ("step", "stranger", False),
    ],
)
def test_a_file_of_a_steps_that_a_shell_reads_by_itself_is_told(
    kernel: Kernel, begin: Callable[[], Proof], writer: str, reader: str, *, seen: bool
) -> None:
    proof = begin()
    pids = {"shell": MAIN, "step": MAIN + 1, "stranger": STRANGER}
    proof._owners.feed(Forked(MAIN, MAIN + 1))  # noqa: SLF001
    step(proof, command(MAIN + 1))
    kernel.written, kernel.contents = {"/srv/a": {pids[writer]}}, {"/srv/a": "1"}
    assert proof.settle()[1] is False
    kernel.read = {"/srv/a": {pids[reader]}}
    assert proof.settle()[1] is seen


# What a shell looks at by itself.


def looked(kernel: Kernel, proof: Proof, *looks: Look) -> tuple[str, ...]:
    kernel.looked = list(looks)
    return proof.settle().looked


def test_a_look_of_the_scripts_shell_is_told_with_its_answer(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    proof = begin()
    step(proof, command(MAIN, kind="shell"))
    gone, refused = (
        Look(MAIN, EXISTS, "/var/lib/kubelet/none", -2),
        Look(MAIN, CONNECTS, "port 10248", -111),
    )
    process, own = Look(MAIN, SIGNALS, "4711", 0), Look(MAIN, SIGNALS, str(MAIN), 0)
    elsewhere = Look(MAIN, EXISTS, "/etc/none", -2)
    assert looked(kernel, proof, gone, gone, refused, process, own, elsewhere) == (
        "/var/lib/kubelet/none: -2",
        "a process: 0",
        "port 10248: -111",
    )
    assert proof.doubts == []
    assert looked(kernel, proof) == ()


def test_whose_look_it_is_counts(kernel: Kernel, begin: Callable[[], Proof]) -> None:
    proof = begin()
    where = "/var/lib/kubelet/none"
    step(proof, command(MAIN))
    # A program that was held: what it looks at is its own step.
    assert looked(kernel, proof, Look(MAIN, EXISTS, where, -2)) == ()
    assert looked(kernel, proof, Look(STRANGER, EXISTS, where, -2)) == ()


def test_that_a_shell_reads_the_script_itself_is_no_look(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    proof = begin()
    step(proof, command(MAIN, kind="shell"))
    assert looked(kernel, proof, Look(MAIN, READS, SCRIPT, 0)) == ()
    assert proof.doubts == []
    looked(kernel, proof, Look(MAIN, READS, f"{SCRIPT}.conf", 0))
    assert f"{SCRIPT}.conf" in proof.doubts[0]


@pytest.mark.parametrize(
    ("look", "why"),
    [
        (Look(MAIN, READS, "/proc/uptime", 0), "reads /proc/uptime by itself"),
        (Look(MAIN, CONNECTS, "port 10248", 0), "talks to port 10248 by itself"),
        (Look(MAIN, EXISTS, "/proc/uptime", -2), "came or went"),
        (Look(MAIN, EXISTS, "/var/lib/kubelet/none", 0), "came or went"),
    ],
)
def test_what_a_shell_read_by_itself_or_what_changed_meanwhile_is_not_proved(
    look: Look, why: str, kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    proof = begin()
    step(proof, command(MAIN, kind="shell"))
    looked(kernel, proof, look)
    (doubt,) = proof.doubts
    assert why in doubt


def test_a_file_that_another_wrote_meanwhile_is_not_known(
    kernel: Kernel, begin: Callable[[], Proof], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`[ -s log ]`: empty when the shell looked, and not any more when the gate does."""
    log = tmp_path / "kubelet.log"
    log.write_text("a line")
    monkeypatch.setattr("chainrace.gate.proof.place_of", lambda path, _: path)
    proof = begin()
    step(proof, command(MAIN, kind="shell"))
    look = Look(MAIN, EXISTS, str(log), 0)
    assert looked(kernel, proof, look) == (f"{log}: 0 file",)
    assert proof.doubts == []
    kernel.written = {str(log): {STRANGER}}
    looked(kernel, proof, look)
    (doubt,) = proof.doubts
    assert "was written while" in doubt


def test_a_file_of_the_scripts_own_is_no_look_at_kubelet(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    proof = begin()
    step(proof, command(MAIN, kind="shell"))
    kernel.written, kernel.contents = {"/run/stamp": {MAIN}}, {"/run/stamp": "1"}
    assert looked(kernel, proof, Look(MAIN, EXISTS, "/run/stamp", 0)) == ()


def test_where_looks_cannot_be_seen_nothing_is_proved(
    kernel: Kernel, begin: Callable[[], Proof]
) -> None:
    kernel.unwatched = "auditctl: never"
    (doubt,) = begin().doubts
    assert "auditctl: never" in doubt
