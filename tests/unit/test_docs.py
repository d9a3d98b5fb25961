"""The documents say what there is, and nothing that there is not."""

import re
from pathlib import Path

import pytest
import typer.main

from chainrace.base.paths import REPOSITORY
from chainrace.cli.app import app
from chainrace.settings.config import MODELS, LabConfig

DOCS = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *REPOSITORY.glob("docs/**/*.md")]
COMMAND = typer.main.get_command(app)
COMMANDS = COMMAND.commands  # type: ignore[attr-defined]
REFERENCE = (REPOSITORY / "docs" / "reference.md").read_text()
# ./lab run, ./lab explore --script FILE
CALL = re.compile(r"\./lab ([a-z]+)([^\n`|#]*)")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_stands_in_the_reference(name: str) -> None:
    assert f"`./lab {name}" in REFERENCE


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.name)
def test_every_call_in_a_document_is_of_a_command_with_options_that_it_has(file: Path) -> None:
    for name, rest in CALL.findall(file.read_text()):
        assert name in COMMANDS, f"./lab {name}"
        called = COMMANDS[name]
        if called.context_settings.get("ignore_unknown_options"):
            continue  # they are another program's: kubectl's
        if commands := getattr(called, "commands", None):
            called = commands[rest.split()[0]]  # ./lab cluster up
        known = {option for one in called.params for option in one.opts}
        for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest):
            assert option in known, f"./lab {name}{rest}"


def test_every_key_of_lab_toml_stands_in_the_reference() -> None:
    assert {names[0] for names in MODELS if names} == LabConfig.model_fields.keys()
    keys = re.findall(r"^\| (`[^|]+`) \|", REFERENCE, re.MULTILINE)
    for names, model in MODELS.items():
        for key in model.model_fields if len(names) == 1 else ():
            assert f"`{names[0]}.{key}`" in ", ".join(keys)


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.name)
def test_every_link_leads_to_something(file: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", file.read_text()):
        assert (file.parent / target).exists(), target
