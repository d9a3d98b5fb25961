"""Which subjects there are: those that chainrace knows, and those of lab.toml."""

from chainrace.base.errors import UsageError
from chainrace.base.files import read_input
from chainrace.base.paths import REPOSITORY
from chainrace.model.subject import Subject
from chainrace.settings.config import LabConfig, SubjectConfig, seconds, with_packages
from chainrace.subjects.known import KNOWN
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET


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


def against_of(config: LabConfig, subject: Subject, name: str | None) -> Subject | None:
    """The subject in the script's place, None where the call names none. Raises UsageError."""
    if name is None:
        return None
    other = subject_of(config, name)
    if other.unit == subject.unit:
        raise UsageError(f"{name} cannot be raced with itself", "name two subjects: ./lab subjects")
    return other


def with_needs(config: LabConfig, *subjects: Subject | None) -> LabConfig:
    """The same with all that some subjects need of a node. Raises UsageError as with_packages."""
    named = [one for one in subjects if one]
    config = with_packages(config, [name for one in named for name in one.packages])
    needed = config.node.api_server or any(one.api_server for one in named)
    node = config.node.model_copy(update={"api_server": needed})
    return config.model_copy(update={"node": node})


def _subject(one: SubjectConfig) -> Subject:
    file = REPOSITORY / one.unit
    unit, text = one.unit, b""
    if "/" in one.unit:
        text = read_input(file, f"name a unit file in lab.toml, as unit of the subject {one.name}")
        if b"[Service]" not in text:
            raise UsageError(
                f"{file} is no service: it has no [Service]", "name a file of systemd's"
            )
        unit = file.name
    return Subject(
        one.name,
        unit,
        one.done,
        one.check,
        text,
        packages=tuple(one.packages),
        programs=tuple(one.programs),
        prepare=one.prepare,
        watch=seconds(one.watch) if one.watch else 0.0,
    )
