"""kubelet as a subject."""

from chainrace.model.subject import Subject

SUBJECT = Subject("kubelet", "kubelet.service", by_family=True)
