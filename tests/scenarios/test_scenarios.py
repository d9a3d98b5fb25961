"""Every scenario of lab.toml, under the name that `./lab run` knows it by.

`pytest tests/scenarios -k legacy` takes what `./lab run -k legacy` takes. Each brings up a
node of its own, so none may be up already.
"""

import pytest

from chainrace.base.errors import UsageError
from chainrace.base.paths import Paths
from chainrace.judge.conclusion import CLUSTER
from chainrace.judge.explored import EXIT_OF
from chainrace.report.terminal import Terminal
from chainrace.run import evidence
from chainrace.settings import config as configuration
from chainrace.settings.keeping import Keeping
from chainrace.settings.scenario import Chosen, choose

try:
    CONFIG = configuration.load()
    SCENARIOS = choose(CONFIG, [one.name for one in CONFIG.scenario])
except UsageError as error:
    pytest.exit(str(error), returncode=2)


def marks(chosen: Chosen) -> list[pytest.MarkDecorator]:
    return [pytest.mark.nightly] if CLUSTER in chosen.evidence else []


@pytest.mark.parametrize(
    "chosen", [pytest.param(one, id=one.name, marks=marks(one)) for one in SCENARIOS]
)
def test_it_holds(chosen: Chosen, paths: Paths, terminal: Terminal) -> None:
    amount = chosen.amount(None, None)
    verdict, folder = evidence.run(paths, chosen, Keeping(), amount=amount, terminal=terminal)
    assert EXIT_OF[verdict.verdict] == 0, f"{verdict.reason}; see {folder}"
