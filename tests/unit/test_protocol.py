"""What goes over the line between lab and node is the same on both ends."""

import json
from typing import Any

import pytest

from chainrace.model.protocol import ALL, Arm, Clock, Release, Unit, Walk, from_line, to_line

GUARD = Unit(name="guard", unit="guard.service", done="", check="true", programs=["guardd"])


@pytest.mark.parametrize(
    "request_",
    [
        Release(),
        Clock(12.5),
        Arm("/script", ["x"], 10.0, boot=False, fresh=True, program=None, other=GUARD),
        Walk([("k", 2), ("s", None)], "ab", None, rules_too=True, evidence=False, places=True),
    ],
)
def test_a_request_arrives_as_it_was_sent(request_: Any) -> None:
    arrived = from_line(json.loads(json.dumps(to_line(request_))))
    assert type(arrived) is type(request_)
    assert json.dumps(to_line(arrived)) == json.dumps(to_line(request_))


def test_each_request_has_a_name_of_its_own() -> None:
    assert len({one.__name__.lower() for one in ALL}) == len(ALL)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({}, "unknown request None"),
        ({"do": "dance"}, "unknown request 'dance'"),
        ({"do": "clock"}, "clock is not complete: .*now"),
        ({"do": "clock", "now": 1, "zone": "UTC"}, "clock knows no zone"),
    ],
)
def test_what_is_no_request_is_refused_with_the_reason(line: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        from_line(line)
