"""What the views rely on of a verdict.json, and its limits (docs/reference.md has all of it).

What is drawn must not depend on who wrote the file: no number is without end, no count below
0, no cell outside its map, and a map has room on a page.
"""

import json
import math
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from chainrace.race.conclusion import Evidence

# No kubelet makes half as many steps in a family (docs/kubelets.md: 28).
MOST_STEPS = 64
# That kubelet with a script of a hundred stops.
MOST_CELLS = 50_000
MOST_COMMANDS = 1000

RUN, FORCE = "run", "force"
Word = Literal[
    "confirmed", "refuted", "inconclusive", "not exposed", "harmless", "harmful", "unfinished"
]
ForceWord = Literal["harmless", "harmful", "unfinished"]
Family = Literal["ipv4", "ipv6"]
Class = Literal["healthy", "init_failed", "rules_lost", "hint_lost", "canary_lost"]
Classes = Annotated[list[Class], Field(min_length=1, max_length=5)]
Count = Annotated[int, Field(ge=0, le=10**9)]
# What the page says again at every cell or grid; a file's name is no longer than 255.
Short = Annotated[str, Field(max_length=1000)]
Share = Annotated[float, Field(ge=0, le=1)]


class Complaint(TypedDict):
    """Something of what the node said that is known to be bad."""

    node: str
    means: str
    times: Count
    first: str


class Cell(TypedDict):
    """One schedule and what it leads to."""

    before: Count
    script: Annotated[int, Field(ge=1)]
    until: Count
    schedule: str
    classes: Classes


class Map(TypedDict):
    """Both actors' commands, and a cell for each stop of the script."""

    kubelet: Annotated[list[Short], Field(max_length=MOST_STEPS)]
    script: Annotated[list[str], Field(max_length=MOST_COMMANDS)]
    cells: Annotated[list[Cell], Field(max_length=MOST_CELLS)]


def _within(one: Map) -> Map:
    steps, stops = len(one["kubelet"]), len(one["script"])
    for cell in one["cells"]:
        if not (cell["before"] <= cell["until"] <= steps and cell["script"] <= stops):
            raise ValueError("a cell lies outside its map")
    return one


class Graph(TypedDict):
    """One family's interleavings. Those of earlier versions were stored without a map."""

    family: Family
    classes: dict[Class, Count]
    map: NotRequired[Annotated[Map, AfterValidator(_within)] | None]


class Monitor(TypedDict):
    """What kubelet's Monitor made of a finding."""

    healed: bool


class Finding(TypedDict):
    """A kind of harm with the schedule that shows it."""

    family: Family
    classes: Classes
    schedule: str
    missing: list[str]
    azure_npm_finds: str | None
    end_states: Count
    replays: Count
    replays_that_ended_so: Count
    monitor: Monitor | None


class Explored(TypedDict):
    """One script, by force."""

    word: ForceWord
    reason: str
    graphs: Annotated[list[Graph], Field(max_length=2)]
    findings: list[Finding]


class AzureNpm(TypedDict):
    """How often azure-npm was tried on what a trial left, and did not start."""

    tried: Count
    failed: Count


class Arm(TypedDict):
    """One script's trials by chance."""

    trials: Annotated[int, Field(ge=0, le=10**6)]
    outcomes: dict[Class, Count]
    rate: Share
    rate_low: Share
    rate_high: Share
    azure_npm: AzureNpm


def _adds_up(arm: Arm) -> Arm:
    if sum(arm["outcomes"].values()) != arm["trials"]:
        raise ValueError("the outcomes are not those of so many trials")
    if not arm["azure_npm"]["failed"] <= arm["azure_npm"]["tried"] <= arm["trials"]:
        raise ValueError("azure-npm was not tried so often")
    return arm


class Arms(TypedDict):
    """Both scripts, also where none was tried by chance."""

    original: Annotated[Arm, AfterValidator(_adds_up)]
    fixed: Annotated[Arm, AfterValidator(_adds_up)]


class Reboot(TypedDict):
    """What a boot brought back."""

    word: ForceWord
    reason: str
    service: str
    kubelet: dict[Family, Classes]


def _once(evidence: list[Evidence]) -> list[Evidence]:
    if len(set(evidence)) < len(evidence):
        raise ValueError("the same evidence is named twice")
    return evidence


class Scenario(TypedDict):
    """What a run was to show; `options` in scenario.json alone."""

    name: str
    script: Short
    evidence: Annotated[list[Evidence], Field(min_length=1), AfterValidator(_once)]
    options: NotRequired[list[str]]


class Node(TypedDict):
    """What was on the node, as far as more is done with it than showing it."""

    backend: NotRequired[Literal["nft", "legacy"]]
    tables: NotRequired[dict[str, dict[str, list[str]]]]


class Common(TypedDict):
    """What every verdict has."""

    verdict: Word
    reason: str
    interrupted: bool
    options: NotRequired[list[str]]
    lines: NotRequired[dict[str, str]]
    node: Node
    complaints: list[Complaint]


class Run(Common):
    """The verdict on a run. `options` and `lines` came later than schema 2."""

    schema: Literal[2]
    kind: Literal["run"]
    scenario: Scenario
    scripts: Arms
    force: Explored | None
    reboot: Reboot | None


class Exploration(Common):
    """The verdict on an exploration by force alone."""

    schema: Literal[1]
    kind: Literal["force"]
    scripts: Annotated[dict[Short, Explored], Field(max_length=2)]


KINDS: dict[object, TypeAdapter[Any]] = {RUN: TypeAdapter(Run), FORCE: TypeAdapter(Exploration)}


def parse(text: str) -> Any:
    """JSON's value of a text. Raises ValueError for what is none, or could not be shown."""
    try:
        value = json.loads(text, parse_float=_finite, parse_constant=_finite)
        # Halves of a letter, which can be escaped in JSON, and printed nowhere.
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number")
    return number


def fault(error: ValidationError) -> str:
    """The first thing that is wrong and where it stands, in one line."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    said = f"{where}: {first['msg']}" if where else first["msg"]
    return " ".join(said.split())[:200]
