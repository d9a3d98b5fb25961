"""The subjects that chainrace knows by itself: a folder each."""

from chainrace.subjects.cni.subject import SUBJECT as CNI
from chainrace.subjects.docker.subject import SUBJECT as DOCKER
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET

KNOWN = (KUBELET, DOCKER, CNI)
