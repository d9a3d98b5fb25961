"""Files that are not what they should be: refused, or left at what is whole of them."""

import io
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from chainrace.base.errors import UsageError
from chainrace.base.paths import Paths
from chainrace.explore.store import End, Store
from chainrace.host import own_image, setup
from chainrace.model.trial import Call, Ending
from chainrace.report.terminal import Terminal
from chainrace.run.mitigations import load
from chainrace.search.effects import Effect, Follow, Whole
from chainrace.search.state import Answer, Local, Made, State
from chainrace.settings.config import ImageConfig, KubeletConfig, LabConfig, Scenario
from chainrace.settings.scenario import choose, columns


def qcow2(version: int, length: int, *, crypt: int = 0, says: int = 104) -> bytes:
    """A header of so many bytes; docs/interop/qcow2.txt of QEMU has its places."""
    header = bytearray(b"QFI\xfb" + version.to_bytes(4) + bytes(504))
    header[32:36] = crypt.to_bytes(4)
    header[100:104] = says.to_bytes(4)
    return bytes(header[:length])


def vhd(kind: int, size: int = 0) -> bytes:
    """A footer by Microsoft's specification; `size` is what a guest would see."""
    footer = bytearray(512)
    footer[:8], footer[16:24] = b"conectix", (512).to_bytes(8)
    footer[48:56], footer[63] = size.to_bytes(8), kind
    return bytes(footer)


def boot_sector(kind: int) -> bytes:
    sector = bytearray(b"\xeb\x3c\x90".ljust(510, b"\0") + b"\x55\xaa")
    sector[450] = kind
    return bytes(sector)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (qcow2(1, 512), "no whole qcow2"),
        (qcow2(4, 512), "no whole qcow2"),
        (qcow2(3, 8), "no whole qcow2"),
        (qcow2(2, 71), "no whole qcow2"),
        (qcow2(3, 103), "no whole qcow2"),
        (qcow2(3, 512, says=1024), "no whole qcow2"),
        (b"QFI\xfb", "no whole qcow2"),
        (qcow2(2, 512, crypt=1), "is encrypted"),
        (qcow2(3, 512, crypt=2), "is encrypted"),
        (b"vhdxfile", "no whole vhdx"),
        (b"vhdxfile" + bytes(2**20), "no whole vhdx"),
        (vhd(2), "no whole vpc"),
        (vhd(2, 4096), "no whole vpc"),
        (bytes(512) + vhd(2, 4096), "no whole vpc"),
        (vhd(3), "no whole vpc"),
        (vhd(3) + bytes(1024), "no whole vpc"),
        (boot_sector(0), "neither qcow2"),
        (boot_sector(0) + bytes(4096), "neither qcow2"),
    ],
)
def test_an_image_that_is_not_whole_is_refused_by_its_first_bytes(
    tmp_path: Path, content: bytes, told: str
) -> None:
    (tmp_path / "image").write_bytes(content)
    with pytest.raises(UsageError, match=told):
        own_image.check(Paths(tmp_path), ImageConfig(path="image"))


@pytest.mark.parametrize(
    "content",
    [
        qcow2(2, 72),
        qcow2(3, 104),
        b"vhdxfile".ljust(2**16, b"\0") + b"head",
        vhd(3) + b"cxsparse",
        bytes(4096) + vhd(2, 4096),
        boot_sector(0x83),
    ],
)
def test_the_least_of_each_form_is_taken(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "image").write_bytes(content)
    own_image.check(Paths(tmp_path), ImageConfig(path="image"))


KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("key", b"", "does not begin with -----BEGIN"),
        ("key.pub", b"ssh-ed25519 AAAA me", "does not begin with -----BEGIN"),
        ('k"\n  ProxyCommand touch x\n  #', KEY, "cannot stand in a settings file"),
        ('k"', KEY, "cannot stand in a settings file"),
        ("k\tb", KEY, "cannot stand in a settings file"),
        ("%h", KEY, "cannot stand in a settings file"),
        ("${HOME}", KEY, "cannot stand in a settings file"),
        ("k\\", KEY, "cannot stand in a settings file"),
    ],
)
def test_what_is_no_key(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / "image").write_bytes(boot_sector(0x83))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=told):
        own_image.check(Paths(tmp_path), ImageConfig(path="image", user="me", key=name))


@pytest.mark.parametrize("name", ['i"', "i\nb", "i\x1b[2J"])
def test_an_image_of_a_name_that_is_more_than_one(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(boot_sector(0x83))
    with pytest.raises(UsageError, match="cannot stand in a settings file"):
        own_image.check(Paths(tmp_path), ImageConfig(path=name))


@pytest.mark.parametrize("name", ["image", "key"])
def test_a_name_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    (tmp_path / "image").write_bytes(boot_sector(0x83))
    given = {"path": "image", "user": "me", "key": "key"}
    given["path" if name == "image" else "key"] = "x" * 300
    with pytest.raises(UsageError, match=f"{name}: "):
        own_image.check(Paths(tmp_path), ImageConfig.model_validate(given))


@pytest.mark.parametrize(
    "config",
    [
        LabConfig(image=ImageConfig(path="nowhere")),
        LabConfig(kubelet=KubeletConfig(path="text")),
        LabConfig(kubelet=KubeletConfig(path="nowhere")),
    ],
)
def test_nothing_is_prepared_for_what_is_not_there(tmp_path: Path, config: LabConfig) -> None:
    """setup, measure and test come here first."""

    def begun(text: str) -> AbstractContextManager[None]:
        raise AssertionError(text)

    (tmp_path / "text").write_text("1.34.4")
    with pytest.raises(UsageError):
        setup.prepare(Paths(tmp_path), config, begun)
    assert [file.name for file in tmp_path.iterdir()] == ["text"]


def test_a_remedy_is_called_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mitigation.toml").write_text("about = 'a'\ncosts = 'b'\n")
    (tmp_path / "script.sh").write_text("#!/bin/sh\n")
    monkeypatch.chdir(tmp_path)
    assert load(Path()).name == tmp_path.name


CALL = Call("script", "iptables", ("-F",), output="pipe")
MADE = Made("t", CALL, (Answer(0, None, "told"), Answer(1, 4)), "wrote")
PLACE = Local({"s": (MADE,)}, {"s": CALL}, {"s": False})
FIRST, SECOND = (Follow(f"a{number}", PLACE, "script") for number in (1, 2))
LEARNED = (
    FIRST,
    Effect("on", None, "out", "", {"ipv4/filter": "digest", "ipv4/legacy/nat": None}),
    Whole("edge", State({"k": (), "x": (), "s": (MADE,)}, {"k": CALL}, {"k": False}, {"a": "b"})),
    End("left", Ending({"ipv4": "failed"}, ("line",), {"ipv4": "*filter"}, (80,))),
)


def test_all_that_is_learned_is_read_back_as_it_was(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.jsonl")
    store.add(*LEARNED)
    found = list(store.read())
    assert found == list(LEARNED)
    assert list(map(type, found)) == list(map(type, LEARNED))
    for one in found:
        if isinstance(one, Whole):
            assert one.target.key == LEARNED[2].target.key
        if isinstance(one, Follow):
            assert one.place.key == PLACE.key


def test_what_is_finished_is_forgotten(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.jsonl")
    store.add(FIRST)
    store.remove()
    store.remove()
    assert list(store.read()) == []


@pytest.mark.parametrize(
    "cut", [b"{", b'{"a": 3}\n', b"\xff\xfe\n", b"null\n", b"[" * 9999 + b"\n"]
)
def test_what_is_learned_after_a_line_that_was_cut_off_is_read_again(
    tmp_path: Path, cut: bytes
) -> None:
    file = tmp_path / "store.jsonl"
    store = Store(file)
    store.add(FIRST)
    with file.open("ab") as more:
        more.write(cut)
    assert list(store.read()) == [FIRST]
    store.add(SECOND)
    assert list(store.read()) == [FIRST, SECOND]


def test_a_line_that_is_whole_but_for_its_end_is_learned_again(tmp_path: Path) -> None:
    file = tmp_path / "store.jsonl"
    store = Store(file)
    store.add(FIRST, SECOND)
    file.write_bytes(file.read_bytes()[:-1])
    assert list(store.read()) == [FIRST]
    store.add(SECOND)
    assert list(store.read()) == [FIRST, SECOND]


@pytest.mark.parametrize("name", ["[/]", "[bold]a", "a\x1b[2Jb", "a\nb", "a\u202eb"])
def test_no_name_of_a_file_steers_the_terminal(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    one = Scenario(name="a", script=name, kubelet=name, image=ImageConfig(path=name))
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    Terminal().table([columns(one) for one in choose(LabConfig(scenario=[one]), [])])
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)
    assert not name.isprintable() or name in lines[1]
