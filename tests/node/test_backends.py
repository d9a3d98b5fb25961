"""Both backends of iptables on one node: what each has, and what a look may do."""

from collections.abc import Iterator
from dataclasses import asdict, replace

import pytest
from testinfra.host import Host

from chainrace.explore.scripts import script_on
from chainrace.judge.explored import HARMLESS
from chainrace.judge.verdict import FIXED
from chainrace.model.backends import LEGACY, NFT, OTHER_BACKEND, Backend
from chainrace.model.mode import HEALTHY, INIT_FAILED
from chainrace.model.protocol import Clean, Release, Tables
from chainrace.node import backend as backends
from chainrace.node.identity import versions
from chainrace.node.node import Node
from chainrace.run.trials import SCRIPTS_ON_NODE
from chainrace.subjects.kubelet.modes import HINT_LOST
from chainrace.subjects.kubelet.words import CANARY, HINT
from tests.node.fixtures import LIMIT, OUTAGE, Explore, Replay


@pytest.fixture(params=[NFT, LEGACY])
def backend(request: pytest.FixtureRequest, lab_node: Node) -> Iterator[Backend]:
    """The one in use meanwhile, from a clean state."""
    use(lab_node, request.param)
    yield request.param
    use(lab_node, lab_node.identity["backend"])


def use(lab_node: Node, backend: Backend) -> Node:
    """The same node with this backend in use, from a clean state."""
    lab_node.agent.ask(Release(), timeout=LIMIT)
    backends.use(lab_node.connection, backend)
    lab_node.agent.ask(Clean(), timeout=300)
    return replace(lab_node, identity=lab_node.identity | asdict(versions(lab_node.connection)))


def tables(lab_node: Node) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = lab_node.agent.ask(Tables(), timeout=60)
    return found


def test_kubelet_follows_the_backend_in_use(
    backend: Backend, host: Host, lab_node: Node, replay: Replay
) -> None:
    assert replay("k* s*", FIXED).outcome.name == HEALTHY
    there = tables(lab_node)
    for family in ("ipv4", "ipv6"):
        assert "mangle" in there[family][backend]
        assert there[family][OTHER_BACKEND[backend]] == []
    assert HINT in host.check_output(f"iptables-{backend}-save -t mangle")


@pytest.mark.usefixtures("backend")
def test_the_outage_is_there_in_both_and_the_fix_holds(replay: Replay) -> None:
    broken = replay(OUTAGE).outcome
    assert broken.families["ipv4"].modes == (INIT_FAILED, HINT_LOST)
    assert broken.signature
    assert replay(OUTAGE, FIXED).outcome.name == HEALTHY


def test_looking_at_a_legacy_table_makes_it_and_nft_warns(host: Host, lab_node: Node) -> None:
    use(lab_node, NFT)
    try:
        assert tables(lab_node)["ipv4"][LEGACY] == []
        assert tables(lab_node)["ipv4"][LEGACY] == []  # the look above made none
        host.check_output("iptables-legacy -t filter -L")
        assert tables(lab_node)["ipv4"][LEGACY] == ["filter"]
        assert "Warning: iptables-legacy tables present" in said(host, "iptables-save")
    finally:
        use(lab_node, lab_node.identity["backend"])
    assert "Warning" not in said(host, "iptables-save") or lab_node.identity["backend"] == LEGACY


def said(host: Host, command: str) -> str:
    done = host.run(command)
    return str(done.stdout + done.stderr)


def test_azure_npm_is_misled_by_leftovers_of_the_other_backend(
    backend: Backend, host: Host, replay: Replay
) -> None:
    """kubelet and its hint in one backend, an old canary in the other."""
    other = OTHER_BACKEND[backend]
    assert replay("k* s*", FIXED).outcome.name == HEALTHY
    host.check_output(f"iptables-{other} -t mangle -N {CANARY}")
    done = host.run("azure-npm-probe")
    assert done.rc == 0
    chains = {name: host.check_output(f"iptables-{name}-save") for name in (NFT, LEGACY)}
    # It looks into nft first, whatever kubelet uses.
    assert "AZURE-NPM" in chains[NFT]
    if backend == LEGACY:
        assert "AZURE-NPM" not in chains[LEGACY]


def test_azure_npm_1_7_never_looks_into_the_legacy_backend_where_iptables_is_nft(
    host: Host, lab_node: Node, replay: Replay
) -> None:
    """It calls `iptables` the legacy program (npm/util/const.go): here that is nft again."""
    use(lab_node, NFT)
    try:
        assert replay("k* s*", FIXED).outcome.name == HEALTHY
        for chain in (HINT, CANARY):
            host.check_output(f"iptables -t mangle -X {chain}")
            host.check_output(f"iptables-legacy -t mangle -N {chain}")
        done = host.run("azure-npm-probe")
        assert done.rc == 1
        assert "unable to locate which iptables version" in done.stderr
    finally:
        use(lab_node, lab_node.identity["backend"])


def test_no_interleaving_of_the_fixed_script_harms_kubelet_in_the_other_backend(
    lab_node: Node, explore: Explore
) -> None:
    node = use(lab_node, OTHER_BACKEND[lab_node.identity["backend"]])
    try:
        explored, _ = explore(script_on(node, FIXED, SCRIPTS_ON_NODE[FIXED]), node=node)
    finally:
        use(lab_node, lab_node.identity["backend"])
    assert explored.verdict == HARMLESS
