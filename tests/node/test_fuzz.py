"""Random scripts against a real kubelet: what random orders end in, the proof must know.

`--fuzz N` scripts (20) with `--nightly`; tests/light has the same for numbers, without a VM.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from chainrace.base.paths import Paths
from chainrace.explore.preparation import pristine
from chainrace.explore.scripts import bring_script
from chainrace.node.node import Node
from tests.fuzz.drawn import drawn
from tests.fuzz.explored import Explored
from tests.fuzz.fuzzer import Fuzzer
from tests.fuzz.scripts import scripts
from tests.node.fixtures import LIMIT

SCRIPTS, BUDGET, RUNS = 20, 300.0, 4

pytestmark = pytest.mark.nightly


def test_no_end_of_a_random_script_is_left_out(
    lab_node: Node,
    paths: Paths,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = drawn(pytestconfig, capsys, SCRIPTS)
    file, words = tmp_path / "random.sh", dict[str, int]()

    # Not shrunk: each try takes minutes. The failing script is in the error.
    @seed(asked.seed)
    @settings(
        max_examples=asked.number,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(scripts(3))
    def explored_and_run_at_random(text: str) -> None:
        file.write_text(text)
        path = bring_script([lab_node], file).path
        with pristine(paths, [lab_node], LIMIT) as (snapshots,):
            node = Explored(lab_node.agent, tmp_path, lambda _: path, LIMIT, snapshots)
            found = Fuzzer(node, budget=BUDGET, runs=RUNS, whole=0.0).check(text, whole=False)
        words[found.verdict] = words.get(found.verdict, 0) + 1
        asked.tell(f"{words}")

    explored_and_run_at_random()
