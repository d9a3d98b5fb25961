"""The cluster's lab side: certificates, kubeconfigs, images, what is started and how it fails."""

import base64
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

from chainrace.base.errors import LabError
from chainrace.base.paths import REPOSITORY, Paths
from chainrace.cluster import (
    authority,
    control_plane,
    images,
    joining,
    kubeconfig,
    metadata,
    programs,
    workloads,
)
from chainrace.cluster.authority import Authority
from chainrace.cluster.images import Image
from chainrace.host import libvirt
from chainrace.host.shell import MARK
from chainrace.run import cluster as running
from chainrace.settings import config as configuration
from chainrace.settings.config import LabConfig

SERVER = "https://10.77.0.1:6443"


@pytest.fixture
def made(tmp_path: Path) -> Authority:
    return authority.make(tmp_path / "pki", ["10.77.0.1", "10.0.0.1"], ["kubernetes"])


def certificate(made: Authority, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(made.certificate(name).read_bytes())


@contextmanager
def step(text: str) -> Iterator[None]:
    assert text
    yield


# Who is who.


@pytest.mark.parametrize("name", [*authority.CLIENTS, "kube-apiserver"])
def test_each_certificate_is_the_authoritys(made: Authority, name: str) -> None:
    root = certificate(made, "authority")
    certificate(made, name).verify_directly_issued_by(root)
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_another_clones_authority_says_nothing_of_it(made: Authority, tmp_path: Path) -> None:
    other = authority.make(tmp_path / "other", [], ["kubernetes"])
    with pytest.raises(InvalidSignature):
        certificate(made, "admin").verify_directly_issued_by(certificate(other, "authority"))


def test_a_node_is_in_the_group_that_the_node_authorizer_knows(made: Authority) -> None:
    authority.add(made, "node1", authority.node("node1"))
    subject = certificate(made, "node1").subject
    assert [one.value for one in subject] == ["system:nodes", "system:node:node1"]
    certificate(made, "node1").verify_directly_issued_by(certificate(made, "authority"))


def test_only_the_administrator_may_do_everything(made: Authority) -> None:
    masters = [
        name
        for name in authority.CLIENTS
        for one in certificate(made, name).subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        if one.value == "system:masters"
    ]
    assert masters == ["admin"]


def test_no_other_user_reads_the_keys(made: Authority) -> None:
    assert made.folder.stat().st_mode & 0o77 == 0


def test_a_kubeconfig_has_all_that_a_client_needs(made: Authority) -> None:
    found = json.loads(kubeconfig.text(made, "kube-scheduler", SERVER))
    (cluster,), (user,) = found["clusters"], found["users"]
    assert cluster["cluster"]["server"] == SERVER
    told = base64.b64decode(user["user"]["client-certificate-data"])
    assert told == made.certificate("kube-scheduler").read_bytes()


# Images.


def test_an_image_is_the_same_for_the_same_contents(tmp_path: Path) -> None:
    program = tmp_path / "pause"
    program.write_bytes(b"pause")
    image = Image("localhost/pause:lab", ["/pause"], {"/pause": program})
    for name in ("one", "other"):
        images.write([image], tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    with tarfile.open(tmp_path / "one") as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json") or io.BytesIO())
        assert manifest["RepoTags"] == ["localhost/pause:lab"]
        (layer,) = manifest["Layers"]
        inner = archive.extractfile(layer)
        assert inner is not None
        with tarfile.open(fileobj=inner) as files:
            assert files.getmember("pause").mode & 0o111


def test_a_link_leads_where_it_is_to(tmp_path: Path) -> None:
    links = {"/usr/sbin/iptables": "iptables-nft"}
    images.write([Image("localhost/a:lab", ["a"], links=links)], tmp_path / "images.tar")
    with tarfile.open(tmp_path / "images.tar") as archive:
        layer = archive.extractfile(archive.getnames()[0])
        assert layer is not None
        with tarfile.open(fileobj=layer) as files:
            assert files.getmember("usr/sbin/iptables").linkname == "iptables-nft"


def test_a_base_that_two_images_have_is_written_once(tmp_path: Path) -> None:
    base = tmp_path / "base.tar"
    base.write_bytes(b"a root file system")
    both = [Image(name, [name], base=base) for name in ("localhost/a:lab", "localhost/b:lab")]
    images.write(both, tmp_path / "images.tar")
    with tarfile.open(tmp_path / "images.tar") as archive:
        names = archive.getnames()
    assert len(names) == len(set(names)) == 4  # the layer, two configurations, the manifest


# The node's addresses.


def test_the_addresses_of_pods_are_nobody_elses() -> None:
    every = [one for number in (1, 2, 3, 4) for one in joining.pod_addresses(number)]
    assert len(set(every)) == len(every) == 4 * joining.PODS_OF_NODE
    last = [int(one.rpartition(".")[2]) for one in every]
    assert min(last) >= 200  # behind those that dnsmasq gives
    assert max(last) < 255
    assert all(int(joining.pod_addresses(n)[0].rpartition(".")[2]) % 8 == 0 for n in (1, 4))


def test_the_plugin_finds_its_node_by_the_mac_address() -> None:
    (found,) = joining.interfaces(2)["Interfaces"]
    assert found["MacAddress"] == libvirt.node_mac(2).replace(":", "")
    (subnet,) = found["IPSubnets"]
    primary = [one["Address"] for one in subnet["IPAddresses"] if one["IsPrimary"]]
    assert primary == [libvirt.node_address(2)]


# azure-npm.


def test_the_makers_manifest_is_changed_in_its_image_alone() -> None:
    theirs = "spec:\n  - name: azure-npm\n    image: r.example/a/azure-npm:v1\n    env: []\n"
    ours = theirs.replace(
        "    image: r.example/a/azure-npm:v1\n",
        "    image: localhost/azure-npm:lab\n    imagePullPolicy: Never\n",
    )
    assert workloads.with_own_image(theirs) == ours


@pytest.mark.parametrize("text", ["", "image: r/azure-npm:v1\nimage: r/azure-npm:v2\n"])
def test_one_that_names_no_image_or_two_is_refused(text: str) -> None:
    with pytest.raises(LabError, match="images of its own, not 1"):
        workloads.with_own_image(text)


def test_the_metadata_service_says_what_azure_npm_asks_and_nothing_else() -> None:
    path = "/metadata/instance?api-version=2017-08-01&format=json"
    assert json.loads(metadata.answer(path) or "")["compute"]["osType"] == "Linux"
    cloud = "/metadata/instance/compute/azEnvironment?api-version=2018-10-01&format=text"
    assert metadata.answer(cloud) == "AzurePublicCloud"
    assert metadata.answer("/metadata/identity/oauth2/token") is None


# What is started.


class Namespace:
    """In place of the lab's: programs run where the test runs, and nobody listens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, paths: Paths, listening: str = "") -> None:
        self.started: list[subprocess.Popen[bytes]] = []
        real = subprocess.Popen

        def popen(*words: object, **more: object) -> subprocess.Popen[bytes]:
            process: subprocess.Popen[bytes] = real(*words, **more)  # type: ignore[call-overload]
            if more.get("start_new_session"):
                self.started.append(process)
            return process

        def run(command: list[str], *, remedy: str, timeout: float, called: str = "") -> str:
            assert remedy
            assert timeout
            assert not called or called.startswith("kubectl get")
            if "ss" in command:
                return listening
            if command[0] in ("rm", "ip"):
                return ""
            raise LabError("connection refused", "wait")

        # In place of the metadata service.
        waits = paths.root.parent / "waits"
        waits.write_text("#!/bin/sh\nsleep 600\n")
        waits.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(waits))
        monkeypatch.setattr(control_plane, "_inside", lambda _, command: command)
        monkeypatch.setattr(control_plane, "run", run)
        monkeypatch.setattr(subprocess, "Popen", popen)


def some(tmp_path: Path, **texts: str) -> dict[str, Path]:
    """Programs of the control plane's names: each waits, unless it is given otherwise."""
    found = {}
    for name in (programs.ETCD, *programs.OF_KUBERNETES):
        file = tmp_path / name
        file.write_text(f"#!/bin/sh\n{texts.get(name.replace('-', '_'), 'sleep 600')}\n")
        file.chmod(0o755)
        found[name] = file
    return found


def test_one_that_ends_at_once_is_said_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    paths = Paths(tmp_path / "clone")
    inside = Namespace(monkeypatch, paths)
    ends = some(tmp_path, kube_apiserver="echo the port is taken; exit 3")
    with pytest.raises(LabError, match="kube-apiserver ended with 3: the port is taken"):
        control_plane.start(paths, ends, step)
    assert [process.wait(10) for process in inside.started].count(-9) == 4


def test_one_that_does_not_get_ready_is_an_error_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    paths = Paths(tmp_path / "clone")
    inside = Namespace(monkeypatch, paths)
    monkeypatch.setattr(control_plane, "READY_SECONDS", 0.0)
    with pytest.raises(LabError, match=r"not ready after 0 s \(connection refused\)"):
        control_plane.start(paths, some(tmp_path), step)
    assert [process.wait(10) for process in inside.started] == [-9] * 5


@pytest.mark.parametrize("stays", [True, False])
def test_one_beside_a_node_ends_with_it_unless_the_node_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, stays: bool
) -> None:
    paths = Paths(tmp_path / "clone")
    Namespace(monkeypatch, paths)
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    made = control_plane.ControlPlane(paths, {}, {"etcd": process})
    monkeypatch.setattr(control_plane, "start", lambda *_: made)
    with control_plane.beside(paths, {}, step, lambda: stays) as plane:
        assert plane == made
    assert (process.poll() is None) is stays
    process.kill()
    process.wait()


def test_a_port_that_is_taken_is_said_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    paths = Paths(tmp_path / "clone")
    inside = Namespace(monkeypatch, paths, "LISTEN 0 9 10.77.0.1:6443 0.0.0.0:*\n")
    with pytest.raises(LabError, match="the port 6443 of the lab's namespace is taken"):
        control_plane.start(paths, some(tmp_path), step)
    assert inside.started == []


def test_the_api_server_listens_on_the_bridge_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    paths = Paths(tmp_path / "clone")
    Namespace(monkeypatch, paths)
    with pytest.raises(LabError, match="kube-apiserver ended with 1"):
        control_plane.start(paths, some(tmp_path, kube_apiserver="echo $*; exit 1"), step)
    said = (paths.logs / "kube-apiserver.log").read_text()
    assert f"--bind-address={libvirt.GATEWAY} " in said
    assert "--authorization-mode=Node,RBAC" in said


def test_a_version_without_a_control_plane_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(LabError, match=r"1\.20\.2 to be built") as caught:
        programs.check(Paths(), "1.20.2")
    assert "1.34.4" in caught.value.remedy
    assert "1.20.2" not in caught.value.remedy


def test_what_goes_on_does_not_bear_the_mark_of_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It would be ended with the command that started it (holding.py)."""
    paths = Paths(tmp_path / "clone")
    Namespace(monkeypatch, paths)
    monkeypatch.setenv(MARK, "chainrace-1")
    with pytest.raises(LabError, match="etcd ended with 1: mark none"):
        control_plane.start(paths, some(tmp_path, etcd=f"echo mark ${{{MARK}-none}}; exit 1"), step)


# What is refused.


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('[image]\npath = "/x.qcow2"', "a node beside an API server is of the lab's own image"),
        ('[node]\nbackend = "legacy"', "kube-proxy's image means nft"),
        ('[kubelet]\npath = "/x"', "nobody knows which control plane"),
        ('[kubelet]\nversion = "1.20.2"', "no control plane of Kubernetes"),
    ],
)
def test_what_no_cluster_can_be_made_of_is_refused_before_anything_is_built(
    tmp_path: Path, toml: str, said: str
) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(toml + "\n")
    with pytest.raises(LabError, match=said):
        running.up(Paths(), configuration.load(file), step)


def test_a_clone_where_something_is_up_already_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    paths = Paths(tmp_path)
    (tmp_path / "provision").symlink_to(Paths().provision)
    monkeypatch.setattr(libvirt, "is_running", lambda _: True)
    monkeypatch.setattr(running, "down", lambda _: pytest.fail("ended what was up before"))
    with pytest.raises(LabError, match="something of this clone is up already"):
        running.up(paths, LabConfig(), step)


@pytest.mark.parametrize("error", [LabError("no node", "look"), KeyboardInterrupt()])
def test_whatever_ends_it_nothing_stays_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: BaseException
) -> None:
    def fails(*_: object) -> None:
        raise error

    ended: list[Paths] = []
    paths = Paths(tmp_path)
    (tmp_path / "provision").symlink_to(Paths().provision)
    monkeypatch.setattr(libvirt, "is_running", lambda _: False)
    monkeypatch.setattr(running, "_up", fails)
    monkeypatch.setattr(running, "down", ended.append)
    with pytest.raises(type(error)):
        running.up(paths, LabConfig(), step)
    assert ended == [paths]


def test_kube_proxys_manifest_is_changed_in_its_mode_alone(tmp_path: Path) -> None:
    (tmp_path / "provision").symlink_to(REPOSITORY / "provision")
    plane = control_plane.ControlPlane(Paths(tmp_path), {}, {})
    control_plane.folder(plane.paths).mkdir(parents=True)
    theirs, ours = (
        workloads.kube_proxy(plane, mode).read_text() for mode in ("iptables", "nftables")
    )
    assert theirs.count("--proxy-mode=iptables") == 1
    assert ours == theirs.replace("--proxy-mode=iptables", "--proxy-mode=nftables")
