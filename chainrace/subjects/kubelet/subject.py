"""kubelet as a subject."""

from chainrace.model.subject import Consumer, Subject
from chainrace.subjects.kubelet.guarantees import GUARANTEES, SIGNATURE, unclean
from chainrace.subjects.kubelet.modes import MODES
from chainrace.subjects.kubelet.words import CANARY, HINT

# Where azure-npm looks, and in which order (npm/pkg/dataplane/policies/chain-management_linux.go
# of azure-container-networking): table mangle, the hint, then the canary.
AZURE_NPM = Consumer("azure-npm", (f"mangle :{HINT}", f"mangle :{CANARY}"))

SUBJECT = Subject(
    "kubelet",
    "kubelet.service",
    by_family=True,
    guarantees=GUARANTEES,
    modes=MODES,
    unclean=unclean,
    signature=SIGNATURE,
    consumer=AZURE_NPM,
    # Of its three canaries its Monitor looks for the first table's alone (iptables.go).
    notices=frozenset({f"mangle :{CANARY}"}),
    # It looks once a minute.
    watch=120.0,
)
