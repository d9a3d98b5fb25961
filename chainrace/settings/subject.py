"""Which subjects there are: those that chainrace knows, and those of lab.toml."""

from chainrace.base.errors import UsageError
from chainrace.base.files import read_input
from chainrace.base.paths import REPOSITORY
from chainrace.model.subject import Subject
from chainrace.settings.config import LabConfig, SubjectConfig
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET

KNOWN = (KUBELET,)


def subjects(config: LabConfig) -> dict[str, Subject]:
    """All subjects by name. Raises UsageError for a unit file that is none."""
    own = (_subject(one) for one in config.subject)
    return {one.name: one for one in (*KNOWN, *own)}


def subject_of(config: LabConfig, name: str | None) -> Subject:
    """The subject that a call names, kubelet where it names none. Raises UsageError."""
    every = subjects(config)
    if name is None:
        return KUBELET
    if name not in every:
        raise UsageError(
            f"there is no subject {name}",
            f"there are {', '.join(every)}; write your own into lab.toml as [[subject]]",
        )
    return every[name]


def _subject(one: SubjectConfig) -> Subject:
    file = REPOSITORY / one.unit
    if "/" not in one.unit:
        return Subject(one.name, one.unit, one.done, one.check, packages=tuple(one.packages))
    text = read_input(file, f"name a unit file in lab.toml, as unit of the subject {one.name}")
    if b"[Service]" not in text:
        raise UsageError(f"{file} is no service: it has no [Service]", "name a file of systemd's")
    return Subject(one.name, file.name, one.done, one.check, text, packages=tuple(one.packages))
