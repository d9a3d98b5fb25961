"""Which scenarios a run is of: those of lab.toml, chosen by name, changed by the call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from _pytest.mark.expression import Expression

from chainrace.base.errors import UsageError
from chainrace.base.paths import REPOSITORY
from chainrace.judge.badlines import Expected
from chainrace.judge.conclusion import Evidence
from chainrace.model.backends import Backend
from chainrace.settings.amount import Amount
from chainrace.settings.config import (
    ImageConfig,
    LabConfig,
    Scenario,
    seconds,
    with_backend,
    with_image,
    with_kubelet,
)

DEFAULT_BUDGET = "5m"
# Five failures of five against none of five: p < 0.01 by Fisher's exact test.
LEAST_PAIRS = 5


@dataclass(frozen=True)
class Chosen:
    """A scenario with everything that it stands for. `config` is that of its node.

    `script` is a file that stands in the fix's place, None for the outage's fix; `budget`
    in seconds, None where lab.toml names none; `expect` the code that the script is to end with;
    `prepare` a file that changes the node first; `expected_lines` are no fault of the node.
    """

    name: str
    config: LabConfig
    script: Path | None
    evidence: tuple[Evidence, ...]
    budget: float | None
    expect: int = 0
    prepare: Path | None = None
    expected_lines: tuple[Expected, ...] = ()

    def amount(self, pairs: int | None, budget: float | None) -> Amount:
        """How much to see: what the call says, what lab.toml says, or the default.

        `pairs` of trials and `budget` in seconds; a call that says nothing gets at least what
        can tell the scripts apart.
        """
        seen = budget or self.budget
        if pairs or seen:
            return Amount(pairs, seen)
        return Amount(budget=seconds(DEFAULT_BUDGET), least=LEAST_PAIRS)

    @property
    def label(self) -> str:
        """What the script in the fix's place is called."""
        return self.script.name if self.script else "fixed"


@dataclass(frozen=True)
class Changes:
    """What the call says instead of lab.toml; None leaves it."""

    image: ImageConfig | None = None
    backend: Backend | None = None
    kubelet: str | None = None
    script: Path | None = None
    evidence: tuple[Evidence, ...] = ()
    expect: int | None = None
    prepare: Path | None = None


def choose(
    config: LabConfig,
    names: Sequence[str],
    expression: str = "",
    changes: Changes = Changes(),
    *,
    every: bool = False,
) -> list[Chosen]:
    """The scenarios of these names, or all by default; of them those that a `-k` expression takes.

    With `every` all that there are. The expression is pytest's own: parts of names with `and`,
    `or`, `not`. Raises UsageError for a name that there is not, and where nothing is left.
    """
    known = {one.name: one for one in config.scenario}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no scenario {name}", f"known are: {', '.join(known)}")
    chosen = [known[name] for name in dict.fromkeys(names)] or config.scenario
    if expression:
        taken = _taken_by(expression)
        chosen = [one for one in chosen if taken(one.name)]
    elif not names and not every:
        chosen = [one for one in chosen if one.by_default]
        if not chosen:
            raise UsageError("no scenario runs by default", f"name one: {', '.join(known)}")
    if not chosen:
        raise UsageError(f"-k {expression!r} takes no scenario", f"known are: {', '.join(known)}")
    return [_changed(_resolved(config, one), changes) for one in chosen]


def _taken_by(expression: str) -> Callable[[str], bool]:
    try:
        compiled = Expression.compile(expression)
    except (SyntaxError, RecursionError) as error:
        raise UsageError(
            f"-k {expression!r} is no expression: {error}", "write it like 'legacy and not reboot'"
        ) from error

    def takes(name: str) -> bool:
        def matches(word: str, /, **_: object) -> bool:
            return word.lower() in name

        return compiled.evaluate(matches)

    return takes


def _resolved(config: LabConfig, scenario: Scenario) -> Chosen:
    return Chosen(
        name=scenario.name,
        config=_with(config, scenario.image, scenario.backend, scenario.kubelet),
        script=REPOSITORY / scenario.script if scenario.script else None,
        evidence=tuple(scenario.evidence),
        budget=seconds(scenario.budget) if scenario.budget else None,
        expect=scenario.exit,
        prepare=REPOSITORY / scenario.prepare if scenario.prepare else None,
        expected_lines=tuple(Expected(one.line, one.reason) for one in scenario.expected_lines),
    )


def _changed(chosen: Chosen, changes: Changes) -> Chosen:
    # What lab.toml expects is of its own script.
    expect = 0 if changes.script else chosen.expect
    return replace(
        chosen,
        config=_with(chosen.config, changes.image, changes.backend, changes.kubelet),
        script=changes.script or chosen.script,
        evidence=changes.evidence or chosen.evidence,
        expect=expect if changes.expect is None else changes.expect,
        prepare=changes.prepare or chosen.prepare,
    )


def _with(
    config: LabConfig, image: ImageConfig | None, backend: Backend | None, kubelet: str | None
) -> LabConfig:
    """The same with what is named; None leaves it."""
    if image is not None:
        config = with_image(config, image)
    if backend is not None:
        config = with_backend(config, backend)
    return config if kubelet is None else with_kubelet(config, kubelet)


def columns(chosen: Chosen) -> dict[str, str]:
    """A scenario as a row of a table: what would run on what."""
    config = chosen.config
    # What an image of the user's own has is known when it has booted.
    own = config.image is not None and not config.kubelet.asked
    return {
        "scenario": chosen.name,
        "image": Path(config.image.path).name if config.image else "the lab's",
        "kubelet": "the image's" if own else config.kubelet.name,
        "backend": config.backend or "the image's",
        "script": chosen.label,
        "evidence": ", ".join(chosen.evidence),
    }
