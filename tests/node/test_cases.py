"""Scripts with known verdicts (tests/cases), each explored on the node: no false proof."""

import csv
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainrace.base.errors import UsageError
from chainrace.base.paths import REPOSITORY
from chainrace.explore.options import Options
from chainrace.explore.scripts import bring_script
from chainrace.judge.explored import HARMFUL, HARMLESS, NOT_EXERCISED, NOT_PROVED
from chainrace.model.backends import NFT
from chainrace.node.node import Node
from chainrace.report.terminal import Terminal
from chainrace.settings import scripts
from chainrace.settings.config import LabConfig
from tests.node.fixtures import Explore

CASES = REPOSITORY / "tests" / "cases"
# Where the truth is known and cannot be shown on this node: why.
NOT_PROVED_HERE = {
    "harm-fails-in-lab": "the script ends with 127 before its flush",
    "harm-by-library": "a library's transactions inside one process cannot be told apart",
    "harm-syntax-late": "bash ends with 2 after what stands above the mistake",
}
REFUSED = "refused"
# Of a case that does harm one finding is enough, and seconds that it must be found in. What is
# called harmless is explored to its end, however long that takes.
HARM = Options(budget=600.0, first=True)

pytestmark = pytest.mark.nightly


def rows() -> Iterator[dict[str, str]]:
    """The table's lines."""
    with (CASES / "INDEX.tsv").open(encoding="utf-8") as file:
        yield from csv.DictReader(file, delimiter="\t")


def expected(row: dict[str, str], backend: str) -> set[str]:
    """The words that are right for a case on a backend."""
    truth = row["expectation"]
    if row["name"].startswith("env-"):
        return {REFUSED, NOT_EXERCISED}
    if row["name"].startswith("dep-"):
        harmed = f"harmed with {backend}" in truth
        return {HARMFUL} if harmed else {HARMLESS}
    right = {HARMLESS} if truth.startswith("safe") else {HARMFUL}
    return right | ({NOT_PROVED} if row["name"] in NOT_PROVED_HERE else set())


@pytest.mark.parametrize("row", rows(), ids=lambda row: str(row["name"]))
def test_a_script_whose_verdict_is_known_is_not_judged_wrongly(
    row: dict[str, str], lab_node: Node, config: LabConfig, explore: Explore, terminal: Terminal
) -> None:
    file: Path = CASES / f"{row['name']}.sh"
    right = expected(row, config.backend or NFT)
    begun = time.monotonic()
    try:
        scripts.look_at(file)
    except UsageError as error:
        verdict, reason, states = REFUSED, str(error), 0
    else:
        options = Options() if HARMLESS in right else HARM
        explored, _ = explore(bring_script([lab_node], file), options)
        verdict, reason = explored.verdict, explored.reason
        states = sum(graph.states for graph in explored.graphs)
    # The table of docs/dev/performance.md, a line a case.
    took = round(time.monotonic() - begun)
    terminal.say(
        f"case\t{row['name']}\t{row['expectation']}\t{verdict}\t{states}\t{took}\t{reason}"
    )
    assert verdict in right, reason
