"""What results found, run again with nothing else to type: `./lab replay --from results/X N`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from chainrace.base.errors import UsageError
from chainrace.base.paths import Paths
from chainrace.explore.replay import refuse_strangers, turns_of
from chainrace.explore.scripts import Script
from chainrace.judge.verdict import ORIGINAL
from chainrace.model import schedule as schedules
from chainrace.model.schedule import Race, Schedule
from chainrace.model.subject import Subject
from chainrace.report import made_by, verdict
from chainrace.report.document import MadeBy
from chainrace.report.verdict import Document, Numbered
from chainrace.settings.config import (
    ImageConfig,
    KubeletConfig,
    LabConfig,
    with_backend,
    with_kubelet,
)
from chainrace.settings.scripts import identity, read_script
from chainrace.settings.subject import with_needs
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET

# The lab's own scripts, where the caller names none: the outage's, and the service's at boot.
OWN = {False: "original.sh", True: "boot.sh"}
# Of findings that are told where one is named that there is not.
MOST_TOLD = 12
# The options of an image of the user's own, as results keep them.
IMAGE_KEYS = {"--image": "path", "--user": "user", "--key": "key", "--bus": "bus"}


@dataclass(frozen=True)
class Again:
    """One schedule of a script, and all that it is to be run by.

    Of results: `name` is the script's there, and `found` says which finding it is. Both are
    empty for what the caller names; without a `script` it is one of the lab's own.
    """

    config: LabConfig
    name: str
    script: Path | None
    prepare: Path | None
    expect: int
    boot: bool
    schedule: Schedule
    found: str
    subject: Subject = KUBELET
    against: Subject | None = None
    told: Race | None = None  # of whom the caller says that the schedule is

    @property
    def race(self) -> Race:
        """Of whom it is executed. Raises UsageError for a script that cannot be read."""
        if self.against is not None:
            return Race(self.subject.name, self.against.name)
        file = self.script or Paths().provision / "node" / "save" / OWN[self.boot]
        name = self.name or (file.name if self.script else file.stem)
        return Race(self.subject.name, name, identity(read_script(file)))

    def refuse_unfit(self) -> None:
        """Raise UsageError for a schedule that is of others than these."""
        if self.told is not None and not self.told.is_of(self.race):
            raise UsageError(
                f"the schedule is of {self.told}, and {self.race} was named",
                "name the same subject and script, or give the schedule without them",
            )
        refuse_strangers(self.schedule, self.subject, self.against)

    def as_it_was(self, brought: Script) -> Script:
        """A script that was brought to a node, called and begun as the results have it."""
        return replace(brought, name=self.name or brought.name, boot=self.boot or brought.boot)


def again(folder: Path, what: str | None, script: str | None, config: LabConfig) -> Again:
    """What is to be run again of a results folder.

    `what` is a finding's number, the first by default, or a schedule; `script` is the name of
    one that the results keep, by default that of the finding. `config` is that of lab.toml.
    Raises UsageError for what is not there, or is not any more what it was.
    """
    document = verdict.read(folder)
    made: MadeBy | None = document.get("made_by")
    if not made or not (made["scripts"] or "against" in made):
        raise UsageError(
            f"{folder} keeps no script: it is of an older version, or nothing was raced",
            "name what was run then: ./lab replay SCHEDULE --script FILE",
        )
    numbered = None if what and not what.isdecimal() else _finding(folder, document, what, script)
    name = numbered.script if numbered else _chosen(folder, made, script)
    against = made_by.against_in(made)
    if name not in _names(made):
        raise UsageError(f"{folder} keeps no script {name}", f"it has {', '.join(_names(made))}")
    kept = made["scripts"].get(name)
    told, schedule = schedule_of(numbered.finding["schedule"] if numbered else str(what))
    subject = made_by.subject_in(made)
    return Again(
        config=with_needs(_as_it_was(config, document, made), subject, against),
        name=name,
        script=made_by.script_in(folder, name, made) if kept else None,
        prepare=made_by.prepare_in(folder, made),
        expect=kept["exit"] if kept else 0,
        boot=kept["boot"] if kept else False,
        schedule=schedule,
        found=str(numbered) if numbered else "",
        subject=subject,
        against=against,
        told=told,
    )


def schedule_of(text: str) -> tuple[Race | None, Schedule]:
    """A schedule by its text, and of whom that says it is. Raises UsageError for what is none."""
    try:
        told, schedule = schedules.parse_text(text)
    except ValueError as error:
        raise UsageError(str(error), "write it as in: ./lab replay 's2 k8 s* k*'") from error
    turns_of(schedule)
    return told, schedule


def _finding(folder: Path, document: Document, what: str | None, script: str | None) -> Numbered:
    """The finding of a number; without one the first, of a script where one is named."""
    every = verdict.findings_in(document)
    named = [one for one in every if script in (None, one.script)]
    found = [one for one in named if what is None or str(one.number) == what.lstrip("0")]
    if found:
        return found[0]
    remedy = "give a schedule, as in: ./lab replay --from FOLDER 's2 k8 s* k*'"
    if named:
        told = "; ".join(str(one) for one in named[:MOST_TOLD])
        more = f"; and {len(named) - MOST_TOLD} more" if len(named) > MOST_TOLD else ""
        remedy = f"it has {told}{more}"
    what = "no finding" if what is None else f"no finding {what}"
    raise UsageError(f"{folder} has {what}{f' of {script}' if script else ''}", remedy)


def _chosen(folder: Path, made: MadeBy, script: str | None) -> str:
    """Whose schedule it is: of the one script, or as `./lab replay` has it the original's."""
    names = _names(made)
    if script is not None:
        return script
    if len(names) > 1 and ORIGINAL not in names:
        raise UsageError(f"{folder} keeps several scripts", f"name one: --of {', '.join(names)}")
    return names[0] if len(names) == 1 else ORIGINAL


def _names(made: MadeBy) -> list[str]:
    """The scripts that results keep, or the unit in a script's place."""
    return [made["against"]["name"]] if "against" in made else list(made["scripts"])


def _as_it_was(config: LabConfig, document: Document, made: MadeBy) -> LabConfig:
    """The image, the kubelet and the backend of then; all else is as lab.toml has it now."""
    image = _image(document.get("options", ()))
    changed = config.model_copy(update={"image": image, "kubelet": KubeletConfig()})
    if made["kubelet"] is not None:
        changed = with_kubelet(changed, made["kubelet"])
    return changed if made["backend"] is None else with_backend(changed, made["backend"])


def _image(options: Sequence[str]) -> ImageConfig | None:
    given = dict(zip(options[::2], options[1::2], strict=False))
    try:
        named = {IMAGE_KEYS[name]: value for name, value in given.items()}
        return ImageConfig.model_validate(named) if named else None
    except (KeyError, ValidationError) as error:
        raise UsageError(
            f"the results name no image that can be: {' '.join(options)}", "name another folder"
        ) from error
