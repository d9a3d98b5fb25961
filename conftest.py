"""pytest's way into the lab: plain `pytest` goes on in the lab's own .venv."""

import fcntl
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
VENV = ROOT / ".venv"
IN_VENV = Path(sys.prefix) == VENV

if IN_VENV:
    pytest_plugins = ["tests.node.fixtures"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--pairs",
        type=int,
        default=10,
        help="trials of each script in the race suites (five of five give p < 0.01)",
    )
    parser.addoption("--reboots", type=int, default=1, help="real boots in the boot suite")
    parser.addoption("--fuzz", type=int, help="random scripts [50, at night 1000; on the VM 20]")
    parser.addoption("--fuzz-seed", type=int, help="the same scripts again [drawn, and told]")
    parser.addoption("--kills", type=int, default=20, help="ends of a run, in test_interrupted")
    parser.addoption("--kills-seed", type=int, help="the same moments again [drawn, and told]")
    parser.addoption(
        "--nightly", action="store_true", help="also what takes minutes a test (half an hour more)"
    )
    parser.addoption(
        "--backend",
        choices=["nft", "legacy"],
        help="what iptables means on the node in this session [lab.toml's node.backend]",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if IN_VENV:
        # Of the lab itself only now: another Python's pytest has none of what it needs.
        from chainrace.base.interruption import end_as_by_ctrl_c  # noqa: PLC0415

        # It ends the node, too: a CI that is cancelled sends SIGTERM.
        end_as_by_ctrl_c()
        # As ./lab does: nobody makes .venv anew under this session.
        lock = (ROOT / ".venv.lock").open("a")
        fcntl.flock(lock, fcntl.LOCK_SH)
        config.add_cleanup(lock.close)
        return
    python = VENV / "bin" / "python"
    if not python.exists():
        pytest.exit("chainrace: this clone is not set up yet; to do: ./lab setup", returncode=4)
    # This is some other pytest (Debian's, say), which has none of the lab's
    # requirements: hand over before anything of the lab is imported.
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.stop_global_capturing()
    os.execv(python, [str(python), "-m", "pytest", *config.invocation_params.args])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `nightly`, unless it was asked for; pytest counts it as skipped."""
    if not config.getoption("--nightly"):
        for item in items:
            if "nightly" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="takes minutes: --nightly"))
