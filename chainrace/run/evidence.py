"""The evidence that a scenario asks for, taken on one node, and the verdict on it."""

import random
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from chainrace.base.paths import Paths
from chainrace.explore.options import Options
from chainrace.explore.preparation import prepared
from chainrace.explore.replay import Replayer
from chainrace.explore.run import ExplorationRun
from chainrace.explore.scripts import Script
from chainrace.host.setup import NODES
from chainrace.judge.badlines import Expected
from chainrace.judge.conclusion import CLUSTER, EXPLORATION, REBOOT, TRIALS
from chainrace.judge.explored import EXIT_OF, Finding
from chainrace.judge.exposure import why_not_exposed
from chainrace.judge.replayed import Replayed
from chainrace.judge.verdict import FIXED, Verdict
from chainrace.model.protocol import Tables
from chainrace.node.listening import Listening
from chainrace.node.node import Node
from chainrace.report.explored import new_folder, write_replay
from chainrace.report.killed import conclude_killed
from chainrace.report.results import ResultsFolder, judge_again
from chainrace.report.terminal import Terminal
from chainrace.report.timeline import FINDINGS
from chainrace.run import outage, scenario, session
from chainrace.run.afterwards import afterwards
from chainrace.run.exploring import with_remark
from chainrace.run.origin import origin_of
from chainrace.run.reboot import save_and_reboot
from chainrace.run.scenario import folder_of, scripts_of
from chainrace.run.trials import SCRIPTS_ON_NODE, Limits, TrialRun
from chainrace.settings.amount import Amount
from chainrace.settings.config import LimitsConfig
from chainrace.settings.keeping import Keeping
from chainrace.settings.scenario import Chosen
from chainrace.settings.scripts import look

TABLES_SECONDS = 60
# Of a run's budget; the rest is for the randomized trials.
EXPLORATION_SHARE = 0.5
# Of a run that was given no limits, in each family: the fixed script needs fifteen.
LEAST_STEPS = 100


def run(
    paths: Paths,
    chosen: Chosen,
    kept: Keeping,
    *,
    amount: Amount,
    terminal: Terminal,
    exploration: Options = Options(),  # noqa: B008 - frozen
    nodes: int = 1,
) -> tuple[Verdict, Path]:
    """A scenario on nodes of its own: the verdict, and the folder that all of it lies in.

    `amount` is that of exploration and randomized trials together. So many `nodes` share the
    exploration. In a cluster none of them counts. Raises LabError.
    """
    if CLUSTER in chosen.evidence:
        return outage.run(paths, chosen, terminal=terminal)
    with session.booted(paths, chosen.config, terminal.step, kept) as up:
        conclude_killed(paths.results, terminal.note)
        reason = None
        if up.found:
            terminal.note(f"the image is {up.found}")
            reason = why_not_exposed(up.found)
        if up.found and reason and not chosen.script:
            about = {"image": up.host.image.identity, "acceleration": up.host.acceleration.name}
            with folder_of(paths, chosen, terminal) as folder:
                folder.image(up.found)
                folder.not_exposed(reason)
                folder.made_by(origin_of(chosen.config, None))
                listening = Listening(paths, up, chosen.expected_lines)
                scenario.conclude(folder, about, listening, terminal, interrupted=False)
        else:
            if reason and TRIALS in chosen.evidence:
                terminal.note("no randomized trials: the original cannot restart what is not there")
                left = tuple(kind for kind in chosen.evidence if kind != TRIALS)
                chosen = replace(chosen, evidence=left or (EXPLORATION,))
            with ExitStack() as stack:
                ready = [
                    stack.enter_context(
                        session.provisioned(paths, chosen.config, terminal.step, up)
                    )
                ]
                ready += [
                    stack.enter_context(
                        session.node_up(paths, chosen.config, terminal.step, kept, name=name)
                    )
                    for name in NODES[1:nodes]
                ]
                how = stack.enter_context(prepared(ready, chosen.prepare))
                folder = stack.enter_context(folder_of(paths, chosen, terminal))
                take(
                    paths,
                    chosen,
                    ready,
                    folder,
                    how=how,
                    amount=amount,
                    exploration=exploration,
                    terminal=terminal,
                )
        verdict = judge_again(folder.path)
        if EXIT_OF[verdict.verdict] != 0:
            kept.failure = f"{verdict.verdict}: {verdict.reason}"
    return verdict, folder.path


def take(
    paths: Paths,
    chosen: Chosen,
    nodes: list[Node],
    folder: ResultsFolder,
    *,
    how: str = "",
    amount: Amount,
    exploration: Options,
    terminal: Terminal,
) -> None:
    """All that a scenario asks for; verdict.json is written whatever ends it.

    Of the amount's budget the exploration takes what it needs, up to its share. `how` is the
    digest of what the nodes were prepared by. Trials and the reboot are the first node's.
    """
    begun, budget, node = time.monotonic(), amount.budget, nodes[0]
    if node.found:
        folder.image(node.found)
    original, fixed = (replace(one, prepared=how) for one in scripts_of(chosen, nodes))
    # Of two that are called the same the user's own counts: the lab's is in the clone.
    origin = origin_of(chosen.config, node, [original, fixed])
    folder.made_by(origin)
    remark, _ = look(origin.scripts[fixed.name].text)
    limits, expected = chosen.config.limits, chosen.expected_lines
    evidence = Evidence(paths, nodes, limits, folder, terminal, expected_lines=expected)
    with evidence.concluded():
        if EXPLORATION in chosen.evidence:
            share = EXPLORATION_SHARE if TRIALS in chosen.evidence else 1.0
            options = replace(
                exploration,
                budget=None if budget is None else share * budget,
                least=LEAST_STEPS if amount.least else 0,
            )
            evidence.explore(fixed, options, remark)
        if TRIALS in chosen.evidence:
            left = None if budget is None else budget - (time.monotonic() - begun)
            scripts = {**SCRIPTS_ON_NODE, FIXED: fixed.path}
            evidence.trials(scripts, replace(amount, budget=left), expect=fixed.expect)
        if REBOOT in chosen.evidence:
            evidence.reboot(fixed)


class Evidence:
    """The evidence of one node, going into one results folder; others share the exploration."""

    def __init__(
        self,
        paths: Paths,
        nodes: list[Node],
        limits: LimitsConfig,
        folder: ResultsFolder,
        terminal: Terminal,
        *,
        expected_lines: Sequence[Expected] = (),
    ) -> None:
        self._paths = paths
        self._nodes = nodes
        self._node = nodes[0]
        self._limits = limits
        self._expected_lines = expected_lines
        self._folder = folder
        self._terminal = terminal
        self._about: dict[str, Any] = {}

    @contextmanager
    def concluded(self) -> Iterator[None]:
        """Inside evidence is taken; afterwards verdict.json is there, whatever ended it.

        An interruption is passed on after the verdict on what was done so far is written.
        """
        self._about = {
            **self._node.identity,
            "tables": self._node.agent.ask(Tables(), timeout=TABLES_SECONDS),
        }
        self._folder.node(self._about)
        listening = Listening(self._paths, self._node, self._expected_lines)
        finished: list[bool] = []

        def conclude() -> None:
            scenario.conclude(
                self._folder, self._about, listening, self._terminal, interrupted=not finished
            )

        with afterwards(conclude, self._terminal.note):
            yield
            finished.append(True)

    def trials(self, scripts: Mapping[str, str], amount: Amount, *, expect: int = 0) -> None:
        """Trials of both scripts; `expect` is the code of the fixed one. Raises LabError."""
        run = TrialRun(
            agent=self._node.agent,
            folder=self._folder,
            console=self._paths.console(self._node.machine.name),
            limits=Limits(amount, self._limits.trial, self._limits.retries),
            tell=self._terminal.trial,
            seed=random.SystemRandom().getrandbits(32),
            scripts=scripts,
            expect=expect,
        )
        try:
            run.run(run.take_reference())
            self._folder.all_trials(len(run.records))
        finally:
            self._about |= {"seed": run.seed, "window": run.window}

    def explore(self, script: Script, options: Options, remark: str = "") -> None:
        """Every interleaving of the script in the fix's place. Raises LabError."""
        run = ExplorationRun(
            self._paths,
            self._nodes,
            script,
            options,
            limit=self._limits.trial,
            teller=self._terminal,
            keep=self._keep,
        )

        def take_in() -> None:
            self._folder.exploration(with_remark(run.explored, remark))

        with afterwards(take_in, self._terminal.note):
            run.run()
        self._terminal.explored(with_remark(run.explored, remark))

    def _keep(self, finding: Finding, last: Replayed) -> None:
        write_replay(new_folder(self._folder.path / FINDINGS, str(finding.schedule)), last)

    def reboot(self, script: Script) -> None:
        """What the script saves, and what a boot makes of it. Raises LabError."""
        replayer = Replayer(self._node.agent, script.path, self._limits.trial)
        with self._terminal.step("taking the reference: kubelet's clean start"):
            reference = replayer.reference()
            replayer.release()
        with self._terminal.step(f"{script.name} saves, and the node boots anew"):
            boot = save_and_reboot(
                self._paths,
                self._node,
                to_succeed(script),
                reference.promised,
                boot_limit=self._limits.boot,
                limit=self._limits.trial,
            )
        self._folder.reboot(boot)


def to_succeed(script: Script) -> str:
    """A command that succeeds where a script ends with the code that it is to end with."""
    path = shlex.quote(script.path)
    return f"{path}; test $? -eq {script.expect}" if script.expect else path
