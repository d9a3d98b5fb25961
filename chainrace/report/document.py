"""What a verdict.json is: its writers make these types, and its views read nothing else.

What is drawn must not depend on who wrote the file: no number is without end, no count below
0, no cell outside its map. No limit here is tighter than what a writer can make; what has no
room in the file or on a page, whoever writes it leaves out (report/writing.py).
(docs/reference.md says what each key means.)
"""

import json
import math
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from chainrace.judge.conclusion import Evidence
from chainrace.judge.explored import ScriptVerdict
from chainrace.judge.outcome import WORST_FIRST
from chainrace.model.backends import Backend

# Of an actor. No kubelet makes a hundredth of it in a family (docs/kubelets.md: 28).
MOST_COMMANDS = 10_000
MOST_CELLS = 1_000_000
# Of one graph a family there are two.
MOST_GRAPHS = 16
# What the page says again at every cell or grid; a file's name is no longer than 255.
MOST_LETTERS = 1000

RUN, EXPLORATION = "run", "exploration"
RunVerdict = Literal["confirmed", "refuted", "not reproduced", "inconclusive", "not exposed"]
AnyVerdict = RunVerdict | ScriptVerdict
Family = Literal["ipv4", "ipv6"]


def _judged(name: str) -> str:
    if name not in WORST_FIRST:
        raise ValueError(f"{name} is no failure mode of an end")
    return name


Mode = Annotated[str, AfterValidator(_judged)]
Modes = Annotated[list[Mode], Field(min_length=1, max_length=64)]
Count = Annotated[int, Field(ge=0, le=10**9)]
# Ways through a graph: their number grows with the power of its states.
Many = Annotated[int, Field(ge=0, lt=10**4000)]
Short = Annotated[str, Field(max_length=MOST_LETTERS)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]


class BadLine(TypedDict):
    """Something of what the node said that is known to be bad."""

    node: str
    means: str
    times: Count
    first: str
    expected: NotRequired[str]


class Cell(TypedDict):
    """One schedule and what it leads to. `script` is 0 for a script that steps nowhere."""

    before: Count
    script: Count
    until: Count
    schedule: str
    modes: Modes


class Map(TypedDict):
    """Both actors' commands, and a cell for each stop of the script."""

    kubelet: Annotated[list[Short], Field(max_length=MOST_COMMANDS)]
    script: Annotated[list[Short], Field(max_length=MOST_COMMANDS)]
    cells: Annotated[list[Cell], Field(max_length=MOST_CELLS)]


def _within(one: Map) -> Map:
    steps, stops = len(one["kubelet"]), len(one["script"])
    for cell in one["cells"]:
        if not (cell["before"] <= cell["until"] <= steps and cell["script"] <= stops):
            raise ValueError("a cell lies outside its map")
    return one


class Graph(TypedDict):
    """One family's interleavings; seconds are sums over all nodes.

    Those of earlier versions have no map; where there was no room for one it is None.
    """

    family: Family
    modes: dict[Mode, Count]
    map: NotRequired[Annotated[Map, AfterValidator(_within)] | None]
    complete: NotRequired[bool]
    states: NotRequired[Count]
    transitions: NotRequired[Count]
    merges: NotRequired[Count]
    executed: NotRequired[Count]
    open: NotRequired[Count]
    preemptions: NotRequired[Count | None]
    interleavings: NotRequired[Many]
    orders: NotRequired[Many]
    end_states: NotRequired[Count]
    executed_again: NotRequired[Count]
    counts: NotRequired[dict[str, Count]]
    seconds: NotRequired[dict[str, Number]]


class Monitor(TypedDict):
    """What a subject made of a finding by itself, in so many seconds: kubelet's Monitor, say."""

    healed: bool
    seconds: NotRequired[Number]
    modes: NotRequired[Modes]
    looked: NotRequired[bool]
    missing: NotRequired[list[str]]


class Finding(TypedDict):
    """A failure mode with the schedule that shows it."""

    family: Family
    modes: Modes
    schedule: str
    missing: list[str]
    azure_npm_finds: str | None
    end_states: Count
    replays: Count
    replays_with_the_same_end: Count
    monitor: Monitor | None
    preemptions: NotRequired[Count]
    cause: NotRequired[str]
    signature: NotRequired[bool]


class Explored(TypedDict):
    """One script, explored. `doubts` and what follows may be missing."""

    verdict: ScriptVerdict
    reason: str
    graphs: Annotated[list[Graph], Field(max_length=MOST_GRAPHS)]
    findings: list[Finding]
    remark: NotRequired[str]
    commands: NotRequired[Count]
    shortest: NotRequired[dict[Mode, str]]
    doubts: NotRequired[list[str]]
    unexercised: NotRequired[str]
    alone: NotRequired[list[str]]
    race: NotRequired[str]


class KeptScript(TypedDict):
    """A script that lies in `scripts/`: the code that it is to end with, whether it is a boot's."""

    sha256: Digest
    exit: Annotated[int, Field(ge=0, le=255)]
    boot: bool


class KeptSubject(TypedDict):
    """A unit: a subject that is not kubelet, or what it is raced with in a script's place.

    `text` is the unit file that was brought, empty for none.
    """

    name: Short
    unit: Annotated[str, Field(pattern=r"^[\w@.-]{1,200}\.service$")]
    prepare: str
    done: str
    check: str
    text: str
    packages: list[str]
    programs: list[str]
    watch: NotRequired[Annotated[float, Field(ge=0, le=10**9)]]


class MadeBy(TypedDict):
    """What results were made by: with the files beside it, all that a replay needs.

    `prepare`: the digest of the file of that name. `kubelet`: a version, or a file; None where
    it was the image's own.
    """

    command: list[str]
    version: str
    commit: str
    kubelet: str | None
    backend: Backend | None
    prepare: Digest | None
    subject: NotRequired[KeptSubject]
    against: NotRequired[KeptSubject]
    scripts: Annotated[dict[Short, KeptScript], Field(max_length=MOST_GRAPHS)]


class AzureNpm(TypedDict):
    """How often azure-npm was tried on what a trial left, and did not start."""

    tried: Count
    failed: Count


class Arm(TypedDict):
    """One script's randomized trials."""

    trials: Annotated[int, Field(ge=0, le=10**6)]
    outcomes: dict[Mode, Count]
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
    """Both scripts, also where there were no trials."""

    original: Annotated[Arm, AfterValidator(_adds_up)]
    fixed: Annotated[Arm, AfterValidator(_adds_up)]


class Reboot(TypedDict):
    """What a boot brought back."""

    verdict: Literal["harmless", "harmful", "unfinished"]
    reason: str
    service: str
    kubelet: dict[Family, Modes]


class PodLine(TypedDict):
    """A line of kubectl's watch, and when it came."""

    seconds: float
    text: str


Missing = dict[Family, list[str]]


class Start(TypedDict):
    """kubelet's start beside a script in a cluster (judge/cluster.py says what each is)."""

    script: Literal["original", "fixed"]
    schedule: str
    words: dict[Family, str]
    missing: Missing
    later: Missing
    pods: list[PodLine]
    restarts: int
    crashloops: bool
    runs: bool
    said: str
    seconds: float


class Repair(TypedDict):
    """What was done where the original had harmed, and what came of it."""

    action: str
    runs: bool
    missing: Missing
    seconds: float


class Cluster(TypedDict):
    """What became of azure-npm's pod."""

    verdict: Literal["confirmed", "refuted", "not reproduced", "inconclusive"]
    reason: str
    starts: list[Start]
    repairs: list[Repair]


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

    backend: NotRequired[Backend]
    tables: NotRequired[dict[str, dict[str, list[str]]]]


class Common(TypedDict):
    """What every verdict has."""

    verdict: AnyVerdict
    reason: str
    interrupted: bool
    options: NotRequired[list[str]]
    made_by: NotRequired[MadeBy | None]
    lines: NotRequired[dict[str, str]]
    node: Node
    known_bad_lines: list[BadLine]


class Run(Common):
    """The verdict on a run. `options`, `lines` and `made_by` may be missing."""

    schema: Literal[4]
    kind: Literal["run"]
    scenario: Scenario
    scripts: Arms
    exploration: Explored | None
    reboot: Reboot | None
    cluster: NotRequired[Cluster | None]


class Exploration(Common):
    """The verdict on an exploration alone."""

    schema: Literal[3]
    kind: Literal["exploration"]
    scripts: Annotated[dict[Short, Explored], Field(max_length=2)]


KINDS: dict[object, TypeAdapter[Any]] = {
    RUN: TypeAdapter(Run),
    EXPLORATION: TypeAdapter(Exploration),
}


def family(name: str) -> Family:
    """A family's name as it is stored. Raises ValueError for what is none."""
    found: dict[str, Family] = {"ipv4": "ipv4", "ipv6": "ipv6"}
    if name not in found:
        raise ValueError(f"{name} is no family")
    return found[name]


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
