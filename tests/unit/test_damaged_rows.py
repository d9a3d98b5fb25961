"""Damaged rows of a comparison: one clear line, or a table that is still one."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from chainrace.base.errors import UsageError
from chainrace.judge.compared import Compared, Generation
from chainrace.report import kubelets, mitigations, rows
from tests.unit.test_kubelets import ONE
from tests.unit.test_mitigations import FIX

KUBELET = asdict(ONE)
NO_ROWS = {
    "none": "[]",
    "no list": "{}",
    "no json": "[{",
    "nested too deep": "[" * 200_000,
    "half a letter": json.dumps([{**KUBELET, "version": "\ud800"}]),
    "an unknown key": json.dumps([{**KUBELET, "price": 3}]),
    "an unknown key of a cut": json.dumps([{**KUBELET, "cuts": [{**KUBELET["cuts"][0], "x": 1}]}]),
    "a text for a truth": json.dumps(
        [{**KUBELET, "cuts": [{**KUBELET["cuts"][0], "signature": "yes"}]}]
    ),
    "a part is missing": json.dumps([{"version": "1"}]),
}


@pytest.mark.parametrize("text", NO_ROWS.values(), ids=NO_ROWS.keys())
def test_what_are_no_rows_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / kubelets.NAME).write_text(text)
    with pytest.raises(UsageError) as told:
        rows.load(tmp_path, kubelets.NAME, Generation)
    assert "\n" not in told.value.what
    assert len(told.value.what) < 400


def test_rows_that_a_link_leads_to_are_not_read(tmp_path: Path) -> None:
    sound = tmp_path / "sound"
    sound.mkdir()
    rows.store(sound, kubelets.NAME, [ONE])
    assert rows.load(sound, kubelets.NAME, Generation) == [ONE]
    (tmp_path / kubelets.NAME).symlink_to(sound / kubelets.NAME)
    with pytest.raises(UsageError, match="is a link"):
        rows.load(tmp_path, kubelets.NAME, Generation)


@pytest.mark.parametrize("steps", [{}, {"ipv4": ()}, {"ipv6": ()}])
def test_a_kubelet_without_its_steps_is_not_drawn(steps: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(UsageError, match=r"the steps of kubelet 1\.34\.4 are missing"):
        kubelets.draw([replace(ONE, steps=steps)])


@pytest.mark.parametrize("containerd", ["", " ", "\n"])
def test_a_containerd_that_did_not_say_its_version_is_told_so(containerd: str) -> None:
    assert "containerd of an unknown version" in kubelets.draw(
        [replace(ONE, containerd=containerd)]
    )


@pytest.mark.parametrize("bad", ["a|b", "a\nb", "a\r\n\nb", "a\x1b[31mb", "a\x00b", "a\u2028b"])
def test_no_text_breaks_out_of_its_table(bad: str) -> None:
    for page, sound in (
        (kubelets.draw([replace(ONE, version=bad, backend=bad)]), kubelets.draw([ONE])),
        (kubelets.draw([replace(ONE, refused=bad)]), kubelets.draw([replace(ONE, refused="x")])),
        (
            mitigations.draw([replace(FIX, name=bad, about=bad, costs=bad, harm={bad: bad})]),
            mitigations.draw([FIX]),
        ),
        (mitigations.draw([replace(FIX, verdict=bad, reason=bad)]), mitigations.draw([FIX])),
    ):
        assert len(page.splitlines()) == len(sound.splitlines())
        assert "\x1b" not in page
        for row, other in zip(page.splitlines(), sound.splitlines(), strict=True):
            if row.startswith("|"):
                assert row.replace("\\|", "").count("|") == other.count("|")


@pytest.mark.parametrize(
    ("orders", "said"),
    [(133, "133"), (10**9, "1e+09"), (10**299, "1e+299"), (2 * 10**400, "1e+400 or more")],
)
def test_any_number_of_orders_can_be_drawn(tmp_path: Path, orders: int, said: str) -> None:
    rows.store(tmp_path, mitigations.NAME, [replace(FIX, orders=orders)])
    assert f", {said} orders |" in mitigations.draw(rows.load(tmp_path, mitigations.NAME, Compared))
