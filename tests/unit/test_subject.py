"""A subject that is not kubelet: how it is named, what it promises, what may mean it."""

from pathlib import Path

import pytest

from chainrace.base.errors import UsageError
from chainrace.cluster import control_plane
from chainrace.explore.replay import refuse_strangers
from chainrace.host import libvirt
from chainrace.judge.outcome import NOT_ASKED, judge, promised_by
from chainrace.model.mode import CHECK_FAILED, HEALTHY, INIT_FAILED, RULES_LOST, RULES_REORDERED
from chainrace.model.schedule import parse
from chainrace.model.subject import Subject, letter_of, sides
from chainrace.model.trial import Call, Ending
from chainrace.search.footprints import Footprints
from chainrace.search.resources import Footprint
from chainrace.search.step import EVERYTHING, LIVES, footprint
from chainrace.settings.config import (
    ImageConfig,
    LabConfig,
    SubjectConfig,
    with_image,
    with_packages,
)
from chainrace.settings.subject import against_of, subject_of, subjects, with_needs
from chainrace.subjects.known import known
from chainrace.subjects.kube_proxy import subject as kube_proxy
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET

BEFORE = "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"
AFTER = "*filter\n:INPUT ACCEPT [0:0]\n:GUARD - [0:0]\n-A INPUT -j GUARD\nCOMMIT\n"
STARTED = {"ipv4": "initialised", "ipv6": "initialised"}


def ending(ipv4: str, words: dict[str, str] | None = None, check: int = 0) -> Ending:
    return Ending(STARTED if words is None else words, (), {"ipv4": ipv4, "ipv6": ""}, check=check)


GUARD = Subject("guard", "guard.service")
REFERENCE = promised_by(GUARD, {"ipv4": BEFORE, "ipv6": ""}, ending(AFTER), ())


def test_what_its_clean_start_adds_is_what_it_promises() -> None:
    assert REFERENCE.added["ipv4"].entries == {"filter :GUARD", "filter -A INPUT -j GUARD"}
    assert judge(GUARD, REFERENCE, ending(AFTER)).name == HEALTHY
    lost = judge(GUARD, REFERENCE, ending(BEFORE))
    assert lost.families["ipv4"].modes == (RULES_LOST,)
    assert lost.families["ipv6"].modes == (HEALTHY,)
    assert lost.detected_by == NOT_ASKED


def test_a_start_that_fails_is_a_failure_mode_beside_what_is_missing() -> None:
    failed = ending(BEFORE, dict.fromkeys(STARTED, "failed"))
    assert judge(GUARD, REFERENCE, failed).families["ipv4"].modes == (
        INIT_FAILED,
        RULES_LOST,
    )


OPEN = "-A INPUT -p tcp --dport 22 -j ACCEPT\n"
OWN = "-A INPUT -j GUARD\n"
DROP = "-A INPUT -j DROP\n"


def rules_of(*lines: str) -> str:
    return AFTER.replace(OWN, "".join(lines))


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        ((OPEN, OWN, DROP), True),
        ((OWN, OPEN, DROP), True),  # it comes sooner than it did
        ((OPEN, DROP, OWN, DROP), False),
        ((OPEN, OWN, OPEN, DROP), True),  # the same rule once more
        ((OWN, DROP), True),  # what stood before it is others'
        (("-A INPUT -j LOG\n", OPEN, OWN, DROP), True),  # what is new only a packet tells
        ((DROP, OPEN, OWN), False),
        ((OPEN, DROP, OWN), False),
    ],
)
def test_a_rule_that_stood_behind_its_own_must_not_stand_before_it(
    left: tuple[str, ...], *, kept: bool
) -> None:
    before = {"ipv4": rules_of(OPEN, DROP), "ipv6": ""}
    promised = promised_by(GUARD, before, ending(rules_of(OPEN, OWN, DROP)), ())
    judged = judge(GUARD, promised, ending(rules_of(*left))).families["ipv4"]
    assert judged.modes == ((HEALTHY,) if kept else (RULES_REORDERED,))
    said = "filter -A INPUT -j DROP stands before filter -A INPUT -j GUARD"
    assert judged.cause == ("" if kept else said)


def test_a_check_that_fails_is_a_failure_mode_with_its_exit_code() -> None:
    judged = judge(GUARD, REFERENCE, ending(AFTER, check=3))
    # It is of no family: it is reported once.
    assert judged.families["ipv6"].modes == (HEALTHY,)
    assert judged.families["ipv4"].modes == (CHECK_FAILED,)
    assert judged.families["ipv4"].cause == "the check ended with 3"


@pytest.mark.parametrize(
    ("left", "why"),
    [
        (ending(AFTER, dict.fromkeys(STARTED, "failed")), "guard failed even on a clean start"),
        (ending(BEFORE), "guard added no rules at all"),
        (ending(AFTER, check=1), "the check of guard ends with 1 even after a clean start"),
    ],
)
def test_a_start_that_is_not_clean_is_no_reference(left: Ending, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        promised_by(GUARD, {"ipv4": BEFORE, "ipv6": ""}, left, ())


def config(check: str = "", packages: tuple[str, ...] = ()) -> LabConfig:
    own = SubjectConfig(name="guard", unit="guard.service", check=check, packages=list(packages))
    return LabConfig(subject=[own])


def test_kubelet_is_the_subject_where_none_is_named() -> None:
    assert subject_of(config(), None) == KUBELET
    assert list(subjects(config())) == [
        "kubelet",
        "docker",
        "cni-portmap",
        "fail2ban",
        "kube-proxy",
        "guard",
    ]
    assert KUBELET.armed() is None


def test_a_subject_of_lab_toml_is_told_to_the_gate() -> None:
    chosen = subject_of(config(check="ping -c1 192.0.2.1"), "guard")
    assert chosen.armed() == {
        "name": "guard",
        "unit": "guard.service",
        "done": "",
        "check": "ping -c1 192.0.2.1",
        "programs": [],
    }


def test_its_packages_are_on_the_labs_own_image_alone() -> None:
    loaded = config(packages=("docker.io",))
    chosen = subject_of(loaded, "guard")
    assert with_packages(loaded, chosen.packages).node.packages == ["docker.io"]
    own = with_image(loaded, ImageConfig(path="a.qcow2"))
    with pytest.raises(UsageError, match="on the lab's own image alone"):
        with_packages(own, chosen.packages)
    assert with_packages(own, ()) == own


def test_one_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="there is no subject cron") as told:
        subject_of(config(), "cron")
    assert "kubelet, docker, cni-portmap, fail2ban, kube-proxy, guard" in told.value.remedy


@pytest.mark.parametrize("text", [None, "", "[Unit]\n"])
def test_a_unit_file_must_be_one(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "guard.service"
    if text is not None:
        file.write_text(text)
    wrong = LabConfig(subject=[SubjectConfig(name="guard", unit=str(file))])
    with pytest.raises(UsageError, match=r"guard.service"):
        subject_of(wrong, "guard")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "kubelet", "unit": "a.service"},
        {"name": "docker", "unit": "a.service"},
        {"name": "Guard", "unit": "a.service"},
        {"name": "a", "unit": "a"},
        {"name": "a", "unit": "a b.service"},
    ],
)
def test_a_subject_has_a_name_of_its_own_and_a_service(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="subject"):
        LabConfig.model_validate({"subject": [wrong]})


@pytest.mark.parametrize(
    "line", ["systemctl restart guard", "pkill -f guard.sh", "rm /etc/guard.conf"]
)
def test_a_command_that_may_mean_the_subject_touches_everything(line: str) -> None:
    program, *words = line.split()
    call = Call("script", program, tuple(words))
    assert Footprints(words=("guard",)).of(call) == EVERYTHING
    own = Call("subject", "iptables", ("-N", "guard"))
    assert Footprints(words=("guard",)).of(own) != EVERYTHING


OTHER = subject_of(config(), "guard")


@pytest.mark.parametrize(
    ("name", "subject"), [("d2 s* d*", KUBELET), ("k1 s* k*", OTHER), ("s1 x* s*", OTHER)]
)
def test_a_schedule_of_another_subject_is_refused(name: str, subject: Subject) -> None:
    with pytest.raises(UsageError, match=f"takes no part where {subject.name} is the subject"):
        refuse_strangers(parse(name), subject)


@pytest.mark.parametrize(("name", "subject"), [("k1 s* x*", KUBELET), ("s1 d* t1 s*", OTHER)])
def test_one_of_its_own_fits(name: str, subject: Subject) -> None:
    refuse_strangers(parse(name), subject)


def test_the_steps_of_kubelet_as_the_other_are_its_own() -> None:
    refuse_strangers(parse("k1 s* k*"), OTHER, KUBELET)
    with pytest.raises(UsageError, match="takes no part"):
        refuse_strangers(parse("s1 d* s*"), OTHER, KUBELET)


def test_each_step_of_its_changes_what_can_be_seen_of_it() -> None:
    assert footprint(Call("subject", "iptables", ("-N", "A"))).writes >= LIVES
    begins = footprint(Call("subject", "subject", ("begins",)))
    assert begins.writes == LIVES
    assert "files" in begins.reads


def test_a_unit_in_the_scripts_place_begins_as_a_subject_does() -> None:
    begins = footprint(Call("guard", "guard", ("begins",)))
    assert begins == Footprint(reads=frozenset({"units", "files", "sysctl"}))
    # A process of the same words is none.
    assert footprint(Call("guard", "guard", ("begins",), exe="guard")) == EVERYTHING


def test_a_program_of_its_own_goes_by_its_answers() -> None:
    daemon = footprint(Call("guard", "guardd", ("--all",), kind="daemon", exe="guardd"))
    assert daemon.writes == {"files", "sysctl"}
    assert footprint(Call("guard", "guardd", ("--all",), exe="guardd")) == EVERYTHING


@pytest.mark.parametrize(
    ("name", "why"),
    [("guard", "with itself"), ("cron", "there is no subject cron")],
)
def test_what_stands_in_the_scripts_place_is_another_subject(name: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        against_of(config(), OTHER, name)


def test_two_subjects_are_raced_with_the_packages_of_both() -> None:
    loaded = config(packages=("ipset",))
    subject = subject_of(loaded, "guard")
    other = against_of(loaded, subject, "docker")
    both = with_needs(loaded, subject, other).node
    assert both.packages == ["busybox-static", "docker-cli", "docker.io", "ipset"]
    assert not both.api_server
    assert against_of(loaded, subject, None) is None
    assert with_needs(loaded, KUBELET, None) == loaded


def test_kube_proxy_has_an_api_server_beside_its_node() -> None:
    assert with_needs(LabConfig(), known("kube-proxy")).node.api_server


def test_kubelet_has_its_own_lanes_also_as_the_other() -> None:
    other = against_of(config(), OTHER, "kubelet")
    assert other is KUBELET
    assert sides(OTHER, None) == (OTHER, None)
    assert sides(KUBELET, OTHER) == (KUBELET, OTHER)
    assert sides(OTHER, KUBELET) == (KUBELET, OTHER)
    letters = [letter_of(*pair) for pair in ((KUBELET, OTHER), (OTHER, GUARD), (OTHER, KUBELET))]
    assert letters == ["k", "d", "s"]


def test_kube_proxy_is_asked_for_at_the_labs_own_addresses() -> None:
    assert kube_proxy.GATEWAY == libvirt.GATEWAY
    assert kube_proxy.ADDRESS == control_plane.API_ADDRESS
    assert control_plane.SERVICES in kube_proxy.PREPARE
