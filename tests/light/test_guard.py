"""kubelet's guard, asked by a neighbour's packet: what is dropped is told from what is let in."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.light.node import why_not

ROOT = Path(__file__).parents[2]
DROP = "iptables -A INPUT ! -s 127.0.0.0/8 -d 127.0.0.0/8 -j DROP"
ASKS = """
import json, sys
from chainrace.gate import guard
print(json.dumps([guard.reached([61321, 22, 80]) for _ in range(int(sys.argv[1]))]))
"""


def reached(rules: str, times: int = 1, asks: str = ASKS) -> list[list[int]]:
    """Which of the ports 61321, 22 and 80 are reached under such rules, asked so many times."""
    if why := why_not():
        pytest.skip(why)
    begin = "mount --make-rprivate / && mount -t tmpfs tmpfs /run && ip link set lo up"
    ran = subprocess.run(
        [
            *("unshare", "--net", "--mount", "sh", "-ec", f'{begin}\n{rules}\nexec "$@"', "sh"),
            *(sys.executable, "-c", asks, str(times)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)  # type: ignore[no-any-return]


def test_without_a_guard_each_port_is_reached_each_time() -> None:
    assert reached(":", 20) == [[61321, 22, 80]] * 20


def test_the_guard_drops_all_each_time() -> None:
    assert reached(DROP, 20) == [[]] * 20


def test_what_stands_above_the_guard_lets_its_port_in() -> None:
    assert reached(f"{DROP}; iptables -I INPUT -p tcp --dport 22 -j ACCEPT", 20) == [[22]] * 20


def test_an_answer_that_is_dropped_on_its_way_out_reaches_nobody() -> None:
    assert reached("iptables -A OUTPUT -p tcp --sport 80 -j DROP") == [[61321, 22]]


def test_a_request_that_does_not_come_is_no_dropped_one() -> None:
    broken = f"""
from chainrace.gate import guard
guard.ARRIVES_SECONDS, guard._send = 1.0, lambda ports: None
{ASKS}"""
    with pytest.raises(subprocess.CalledProcessError) as error:
        reached(":", asks=broken)
    assert "did not come to the node" in error.value.stderr
