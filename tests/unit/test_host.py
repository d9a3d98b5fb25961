import hashlib
import io
import os
import subprocess
import tarfile
import urllib.request
from pathlib import Path

import pytest

from chainrace.base.errors import LabError, UsageError
from chainrace.base.paths import REPOSITORY, Paths
from chainrace.host import debian, kubelet, libvirt, packages, recipe
from chainrace.host.shell import run
from chainrace.settings.config import KubeletConfig


def test_a_recipe_changes_with_any_file_its_mode_and_any_word(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    file.chmod(0o644)
    seen = {recipe.digest(tmp_path)}
    seen.add(recipe.digest(tmp_path, "verdict"))
    file.chmod(0o755)
    seen.add(recipe.digest(tmp_path))
    file.write_text("two")
    seen.add(recipe.digest(tmp_path))
    (tmp_path / "folder").mkdir()
    file.rename(tmp_path / "folder" / "a")
    seen.add(recipe.digest(tmp_path))
    assert len(seen) == 5


def test_a_thing_is_built_once(tmp_path: Path) -> None:
    built = []

    def build(folder: Path) -> None:
        built.append(folder)
        folder.mkdir()

    assert recipe.build_once(tmp_path / "thing", build)
    assert not recipe.build_once(tmp_path / "thing", build)
    assert len(built) == 1


def test_a_build_that_broke_leaves_nothing_of_the_final_name(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        folder.mkdir()
        (folder / "half").touch()
        raise LabError("no", "yes")

    with pytest.raises(LabError):
        recipe.build_once(tmp_path / "thing", broken)
    assert not (tmp_path / "thing").exists()
    assert recipe.build_once(tmp_path / "thing", Path.mkdir)
    assert not list((tmp_path / "thing").iterdir())


def archive(folder: Path) -> bytes:
    (folder / "kubernetes-1.20").mkdir()
    (folder / "kubernetes-1.20" / "go.mod").write_text("module k8s.io/kubernetes")
    with tarfile.open(folder / "a.tar.gz", "w:gz") as tar:
        tar.add(folder / "kubernetes-1.20", "kubernetes-1.20")
    return (folder / "a.tar.gz").read_bytes()


def serve(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(debian, "mirror", lambda: "http://archive.example/debian/")
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(data))


def test_a_pinned_source_is_unpacked_without_its_top_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = archive(tmp_path)
    serve(monkeypatch, data)
    pin = tmp_path / "source.sha256"
    pin.write_text(f"{hashlib.sha256(data).hexdigest()}  pool/main/k/a.tar.gz\n")
    debian.unpack_source(pin, tmp_path / "gopath" / "src")
    assert (tmp_path / "gopath" / "src" / "go.mod").exists()
    assert [one.name for one in (tmp_path / "gopath").iterdir()] == ["src"]


def test_another_source_than_the_pinned_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, archive(tmp_path))
    pin = tmp_path / "source.sha256"
    pin.write_text(f"{'0' * 64}  pool/main/k/a.tar.gz\n")
    with pytest.raises(LabError, match="is not the one that is pinned"):
        debian.unpack_source(pin, tmp_path / "gopath" / "src")
    assert not list((tmp_path / "gopath" / "src").iterdir())


def test_a_program_that_fails_is_told_by_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="failed with 3: the last") as caught:
        run(["sh", "-c", "echo first; echo the last >&2; exit 3"], remedy="mend it", timeout=10)
    assert caught.value.remedy == "mend it"
    log = tmp_path / "its.log"
    with pytest.raises(LabError, match=r"its\.log"):
        run(["sh", "-c", "echo why; exit 1"], remedy="mend it", timeout=10, log=log)
    assert log.read_text() == "why\n"


def test_a_program_that_is_missing_or_never_ends_is_told() -> None:
    with pytest.raises(LabError, match="is not on this machine"):
        run(["no-such-program"], remedy="install it", timeout=10)
    with pytest.raises(LabError, match="did not end within 0 s"):
        run(["sleep", "9"], remedy="wait", timeout=0.05)


def test_packages_are_named_in_one_place_only() -> None:
    names = packages.wanted()
    assert len(names) == len(set(names))
    assert names[0] == "python3-venv"


def test_a_kubelet_that_is_not_pinned_or_not_there_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="not pinned"):
        kubelet.ensure(Paths(), KubeletConfig(version="1.2.3"))
    with pytest.raises(UsageError, match="is no file"):
        kubelet.ensure(Paths(), KubeletConfig(path="/nowhere/kubelet"))


def test_a_clone_too_deep_for_a_socket_is_told_so(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90)
    with pytest.raises(LabError, match="too long"):
        libvirt.check_place(Paths(deep))


def test_a_clone_whose_path_libvirt_cannot_take_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="does not fit"):
        libvirt.check_place(Paths(tmp_path / "with space"))


def test_two_clones_bear_different_names(tmp_path: Path) -> None:
    assert Paths(tmp_path / "a").prefix != Paths(tmp_path / "b").prefix
    assert Paths(tmp_path / "a").prefix == Paths(tmp_path / "a").prefix


def test_no_install_installs_nothing_in_a_bare_clone(tmp_path: Path) -> None:
    for part in ("lab", "requirements.lock"):
        (tmp_path / part).write_bytes((REPOSITORY / part).read_bytes())
    (tmp_path / "chainrace" / "host").mkdir(parents=True)
    (tmp_path / "chainrace/host/packages.txt").write_bytes(packages.LIST.read_bytes())
    (tmp_path / "lab").chmod(0o755)
    done = subprocess.run(
        [tmp_path / "lab", "run", "--no-install"],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 4
    assert "would install" in done.stdout
    assert not (tmp_path / ".venv").exists()
