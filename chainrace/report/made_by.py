"""What results were made by, in their folder: `made_by.json`, `scripts/<name>`, `prepare`."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from chainrace.base.errors import UsageError
from chainrace.base.files import read_if_there, read_input, write_whole
from chainrace.model.backends import Backend
from chainrace.model.subject import Subject
from chainrace.report.document import KeptScript, KeptSubject, MadeBy, fault, parse
from chainrace.report.writing import file_name, short, store
from chainrace.subjects.known import known
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET

NAME = "made_by.json"
SCRIPTS = "scripts"
PREPARE = "prepare"
MADE_BY: TypeAdapter[Any] = TypeAdapter(MadeBy)
REMEDY = "name another folder, or run again"


@dataclass(frozen=True)
class Kept:
    """A script as results keep it: its text, and what a replay must know of it besides."""

    text: bytes
    expect: int = 0
    boot: bool = False


@dataclass(frozen=True)
class Origin:
    """What results were made by.

    `kubelet` is a version, or a file; None where it was the image's own. `prepare` is what was
    run on the node before.
    """

    command: tuple[str, ...]
    version: str
    commit: str
    kubelet: str | None
    backend: Backend | None
    prepare: bytes | None
    scripts: Mapping[str, Kept]
    subject: Subject = KUBELET
    against: Subject | None = None  # a unit in a script's place


def keep(folder: Path, origin: Origin) -> None:
    """Write what results are made by into their folder."""
    (folder / SCRIPTS).mkdir(exist_ok=True)
    kept: dict[str, KeptScript] = {}
    for name, script in origin.scripts.items():
        write_whole(folder / SCRIPTS / file_name(name), script.text)
        kept[short(name)] = {
            "sha256": _sha256(script.text),
            "exit": script.expect,
            "boot": script.boot,
        }
    if origin.prepare is not None:
        write_whole(folder / PREPARE, origin.prepare)
    made: MadeBy = {
        "command": list(origin.command),
        "version": origin.version,
        "commit": origin.commit,
        "kubelet": origin.kubelet,
        "backend": origin.backend,
        "prepare": None if origin.prepare is None else _sha256(origin.prepare),
        "scripts": kept,
    }
    if not origin.subject.by_family:
        made["subject"] = _kept(origin.subject)
    if origin.against is not None:
        made["against"] = _kept(origin.against)
    store(folder / NAME, made)


def _kept(subject: Subject) -> KeptSubject:
    return {
        "name": subject.name,
        "unit": subject.unit,
        "prepare": subject.prepare,
        "watch": subject.watch,
        "done": subject.done,
        "check": subject.check,
        "text": subject.text.decode(errors="replace"),
        "packages": list(subject.packages),
        "programs": list(subject.programs),
    }


def subject_in(made: MadeBy) -> Subject:
    """The subject of results."""
    kept = made.get("subject")
    return KUBELET if kept is None else _subject(kept)


def against_in(made: MadeBy) -> Subject | None:
    """The unit in a script's place, None of results with scripts."""
    kept = made.get("against")
    return None if kept is None else _subject(kept)


def _subject(kept: KeptSubject) -> Subject:
    """As it was then; what it promises and repairs is what is known of it today."""
    return replace(
        known(kept["name"]) or Subject(kept["name"], kept["unit"]),
        unit=kept["unit"],
        done=kept["done"],
        check=kept["check"],
        text=kept["text"].encode(),
        packages=tuple(kept["packages"]),
        programs=tuple(kept["programs"]),
        prepare=kept["prepare"],
        watch=kept.get("watch", 0.0),
    )


def read(folder: Path) -> Any:
    """What results were made by, as it was written; None of results that do not say it.

    Raises UsageError for a file that is damaged.
    """
    data = read_if_there(folder / NAME, REMEDY, below=folder)
    if data is None:
        return None
    try:
        made = parse(data.decode())
        MADE_BY.validate_python(made, strict=True)
    except ValueError as error:
        why = fault(error) if isinstance(error, ValidationError) else str(error)
        raise UsageError(f"{folder / NAME} is not what a run leaves: {why}", REMEDY) from error
    return made


def script_in(folder: Path, name: str, made: MadeBy) -> Path:
    """The file of a script that results keep. Raises UsageError where it is not that any more."""
    file = folder / SCRIPTS / file_name(name)
    _check(folder, file, made["scripts"][name]["sha256"])
    return file


def prepare_in(folder: Path, made: MadeBy) -> Path | None:
    """The file that prepared the node, None where none did. Raises UsageError likewise."""
    if made["prepare"] is None:
        return None
    _check(folder, folder / PREPARE, made["prepare"])
    return folder / PREPARE


def _check(folder: Path, file: Path, digest: str) -> None:
    found = _sha256(read_input(file, "put back what the results had there", below=folder))
    if found != digest:
        raise UsageError(
            f"{file} is not what was run then: its sha256 is {found}, not {digest}",
            "put it back, or run it as it is: ./lab replay SCHEDULE --script FILE",
        )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
