"""Every scenario of lab.toml, under the name that `./lab run` knows it by.

`pytest tests/scenarios -k legacy` takes what `./lab run -k legacy` takes. Each brings up a
node of its own, so none may be up already.
"""

import pytest

from chainrace.base.errors import UsageError
from chainrace.base.paths import Paths
from chainrace.judge.explored import EXIT_OF
from chainrace.report.terminal import Terminal
from chainrace.run import evidence
from chainrace.settings import config as configuration
from chainrace.settings.keeping import Keeping
from chainrace.settings.scenario import Chosen, choose

try:
    SCENARIOS = choose(configuration.load(), [])
except UsageError as error:
    pytest.exit(str(error), returncode=2)


@pytest.mark.parametrize("chosen", SCENARIOS, ids=lambda chosen: chosen.name)
def test_it_holds(chosen: Chosen, paths: Paths, terminal: Terminal) -> None:
    amount = chosen.amount(None, None)
    verdict, folder = evidence.run(paths, chosen, Keeping(), amount=amount, terminal=terminal)
    assert EXIT_OF[verdict.verdict] == 0, f"{verdict.reason}; see {folder}"
