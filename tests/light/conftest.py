"""The one light node."""

from collections.abc import Iterator

import pytest

from tests.light.node import LightAgent, LightNode, why_not


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LightNode]:
    if why := why_not():
        pytest.skip(why)
    with LightAgent() as agent:
        yield LightNode(agent, tmp_path_factory.mktemp("light"))
