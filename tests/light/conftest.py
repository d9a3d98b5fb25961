"""The light node's options and its one node."""

from collections.abc import Iterator

import pytest

from tests.light.node import LightAgent, LightNode, why_not


# Known where tests/light is named on the command line; else the defaults hold.
def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", type=int, help="random scripts on the light node")
    parser.addoption("--fuzz-seed", type=int, help="the same scripts again [drawn, and told]")


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LightNode]:
    if why := why_not():
        pytest.skip(why)
    with LightAgent() as agent:
        yield LightNode(agent, tmp_path_factory.mktemp("light"))
