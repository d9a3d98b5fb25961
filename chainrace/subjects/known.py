"""The subjects that chainrace knows by itself: a folder each."""

from __future__ import annotations

from chainrace.model.subject import Subject
from chainrace.subjects.cni.subject import SUBJECT as CNI
from chainrace.subjects.docker.subject import SUBJECT as DOCKER
from chainrace.subjects.fail2ban.subject import SUBJECT as FAIL2BAN
from chainrace.subjects.kube_proxy.subject import SUBJECT as KUBE_PROXY
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET

KNOWN = (KUBELET, DOCKER, CNI, FAIL2BAN, KUBE_PROXY)


def known(name: str) -> Subject | None:
    """One of them by its name; None for a user's own."""
    return next((one for one in KNOWN if one.name == name), None)
