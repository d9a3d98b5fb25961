"""The randomized trials: search the window, then sample in it with both scripts.

Original and fixed alternate on one node at the same offsets, so that whatever
drifts (the host's load, the node's caches) drifts for both.
"""

import itertools
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from chainrace.base.errors import LabError
from chainrace.base.text import write
from chainrace.judge import outcome as outcomes
from chainrace.judge.verdict import FIXED, ORIGINAL
from chainrace.model import trial
from chainrace.model.guarantee import Promised
from chainrace.model.mode import INIT_FAILED
from chainrace.model.protocol import Trial, TrialSeen
from chainrace.node.agent import Agent
from chainrace.node.machine import console_since, console_size
from chainrace.randomized.offsets import OffsetSearch, sample
from chainrace.randomized.void import why_void
from chainrace.randomized.window import sighting
from chainrace.report.results import ResultsFolder
from chainrace.report.trials import (
    CONSOLE,
    SAMPLE,
    SEARCH,
    Phase,
    Progress,
    Record,
    Script,
    broken_record,
    record_of,
    write_evidence,
)
from chainrace.settings.amount import Amount
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET

SCRIPTS_ON_NODE = {
    ORIGINAL: "/usr/local/lib/chainrace/save/original.sh",
    FIXED: "/usr/local/lib/chainrace/save/fixed.sh",
}
# The search may take this share of the budget; the rest is for the rates.
SEARCH_SHARE = 0.4


@dataclass(frozen=True)
class Limits:
    """How long to sample, and the seconds after which a trial counts as broken.

    A trial that the environment broke is tried again `retries` times; an outcome never is.
    """

    amount: Amount
    trial_seconds: float
    retries: int


def search_from(reference: trial.Seen) -> OffsetSearch:
    """A search over this node's own times. Raises LabError where kubelet built no guard."""
    shape = sighting(reference, failed=False)
    if shape.guard_begin is None or shape.guard_end is None:
        raise LabError(
            "this kubelet builds no KUBE-FIREWALL: there is nothing of the outage to race",
            "name another kubelet in lab.toml",
        )
    span = max(one.started for one in reference.commands if one.actor == "kubelet")
    return OffsetSearch(span, shape.guard_end - shape.guard_begin)


Tell = Callable[[Progress], None]


@dataclass
class TrialRun:
    """One run of trials on one node; `records` grows as trials end.

    `expect` is the code that the script in the fix's place is to end with.
    """

    agent: Agent
    folder: ResultsFolder
    console: Path
    limits: Limits
    tell: Tell
    seed: int
    scripts: Mapping[str, str]
    expect: int = 0

    def __post_init__(self) -> None:
        self.records: list[Record] = []
        self.window: tuple[float, float] | None = None
        self._begun = time.monotonic()
        self._numbers = itertools.count(1)
        self._console_at = console_size(self.console)
        self._promised: Promised | None = None
        self._kubelets: tuple[trial.Call, ...] = ()

    def take_reference(self) -> trial.Seen:
        """One clean start, without any script: what kubelet does and leaves here.

        Raises LabError when kubelet does not initialise even so.
        """
        seen = self._clean_start()
        try:
            self._promised = outcomes.promised_by(KUBELET, seen.before, seen.ending, seen.commands)
        except ValueError as error:
            raise LabError(
                f"no reference can be taken: {error}",
                f"read its kubelet.log and timeline.txt in {self.folder.path / 'reference'}",
            ) from error
        self._kubelets = tuple(one for one in seen.commands if one.actor == "kubelet")
        return seen

    def _clean_start(self) -> trial.Seen:
        answer = self._ask(None, 0.0)
        evidence = self.folder.reference()
        if answer["error"]:
            write_evidence(evidence, answer, None, self._console())
            raise LabError(
                f"kubelet's clean start failed: {answer['error']}",
                f"see the evidence in {evidence}",
            )
        seen = trial.from_answer(answer)
        write_evidence(evidence, answer, seen, self._console())
        return seen

    def run(self, reference: trial.Seen) -> None:
        """Search and sample until the limits are reached. Raises LabError when broken."""
        search = search_from(reference)
        while not self._search_spent():
            offset = search.next_offset()
            if offset is None:
                break
            self._original(SEARCH, offset, search)
        source = random.Random(self.seed)  # noqa: S311 - offsets, not secrets
        longest = 0.0
        for pair in itertools.count():
            if self._spent(pair, longest):
                return
            begun = time.monotonic()
            self.window = search.window
            offset = sample(self.window, source)
            if pair % 2:
                self._trial(FIXED, SAMPLE, offset)
                self._original(SAMPLE, offset, search)
            else:
                self._original(SAMPLE, offset, search)
                self._trial(FIXED, SAMPLE, offset)
            longest = max(longest, time.monotonic() - begun)

    def _original(self, phase: Phase, offset: float, search: OffsetSearch) -> None:
        """A trial of the original, from which the search learns."""
        seen, record = self._trial(ORIGINAL, phase, offset)
        search.learn(sighting(seen, failed=record.outcome == INIT_FAILED))

    def _search_spent(self) -> bool:
        budget = self.limits.amount.budget
        if budget is None or self.limits.amount.least:
            return False  # pairs that are not aimed tell nothing
        return self._elapsed() > SEARCH_SHARE * budget

    def _spent(self, pairs: int, longest: float) -> bool:
        """Whether the next pair would be one too many, or would end past the budget."""
        amount = self.limits.amount
        if amount.pairs is not None and pairs >= amount.pairs:
            return True
        late = amount.budget is not None and self._elapsed() + longest > amount.budget
        return late and pairs >= amount.least

    def _elapsed(self) -> float:
        return time.monotonic() - self._begun

    def _done(self) -> tuple[float, float | None]:
        """How far the run is, and the seconds left where a budget says so."""
        shares = [0.0]
        left = None
        amount = self.limits.amount
        sampled = sum(record.phase == SAMPLE for record in self.records)
        if amount.pairs:
            shares.append(sampled / (2 * amount.pairs))
        if amount.budget:
            shares.append(self._elapsed() / amount.budget)
            left = max(0.0, amount.budget - self._elapsed())
        done = min(1.0, max(shares))
        return min(done, sampled / (2 * amount.least)) if amount.least else done, left

    def _trial(self, script: Script, phase: Phase, offset: float) -> tuple[trial.Seen, Record]:
        """One trial that counts. A broken environment is recorded, and tried again."""
        tries = 1 + self.limits.retries
        for _ in range(tries):
            seen, record = self._attempt(script, phase, offset)
            self.records.append(record)
            done, left = self._done()
            self.tell(Progress(record, done, left))
            if seen is not None:
                return seen, record
        raise LabError(
            f"{tries} trials in a row broke: {record.error}",
            f"see the evidence in {self.folder.path / 'trials'}",
        )

    def _attempt(
        self, script: Script, phase: Phase, offset: float
    ) -> tuple[trial.Seen | None, Record]:
        number = next(self._numbers)
        try:
            answer = self._ask(self.scripts[script], offset)
        except LabError as error:
            # The node is gone, and with it all but its last words.
            record = broken_record(
                number,
                script,
                phase,
                offset,
                error=error.what,
                script_code=None,
                begun=True,
            )
            self.records.append(record)
            write(self.folder.add(record) / CONSOLE, self._console())
            raise
        code = answer["watch"]["script_code"]
        seen = None
        if answer["error"] is None:
            seen = trial.from_answer(answer)
            assert self._promised is not None  # noqa: S101 - a reference comes first
            judged = outcomes.judge(KUBELET, self._promised, seen.ending)
            record = record_of(number, script, phase, offset, seen=seen, outcome=judged)
            expect = self.expect if script == FIXED else 0
            answer["error"] = why_void(script, self._kubelets, seen, judged, expect=expect) or None
        if answer["error"] is not None:
            seen = None
            record = broken_record(
                number,
                script,
                phase,
                offset,
                error=answer["error"],
                script_code=code,
                begun=answer["watch"]["script_started"] is not None,
            )
        write_evidence(self.folder.add(record), answer, seen, self._console())
        return seen, record

    def _ask(self, script: str | None, offset: float) -> TrialSeen:
        limit = self.limits.trial_seconds
        # The agent ends a trial at its limit by itself; twice that, and it is gone.
        asked = Trial(script, delay=offset, limit=limit, azure_npm=True)
        return self.agent.ask(asked, timeout=2 * limit)

    def _console(self) -> str:
        text, self._console_at = console_since(self.console, self._console_at)
        return text
