"""Subjects crossed with scripts and with other subjects: one exploration for each pair."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from chainrace.base.paths import Paths
from chainrace.explore.options import Options
from chainrace.explore.scripts import Script
from chainrace.judge.compared import Pair
from chainrace.judge.explored import conclusion
from chainrace.model.subject import Subject
from chainrace.node.node import Node
from chainrace.report.explored import ExplorationFolder
from chainrace.report.terminal import Terminal
from chainrace.run import exploring, session
from chainrace.settings.config import LabConfig
from chainrace.settings.keeping import Keeping
from chainrace.settings.subject import with_needs


@dataclass(frozen=True)
class Matrix:
    """Each of the subjects against each of the files and of the others.

    A None among the files stands for the outage's fixed and original script.
    """

    subjects: Sequence[Subject]
    files: Sequence[Path | None]
    others: Sequence[Subject]
    config: LabConfig
    options: Options
    keeping: Keeping

    def explore(self, paths: Paths, terminal: Terminal) -> Iterator[Pair]:
        """Explore pair by pair, and hand each on when it is known. Raises LabError.

        A subject has one node for all scripts; beside another subject it has one with both.
        """
        for subject in self.subjects:
            if self.files:
                with self._node(paths, terminal, subject) as node:
                    for file in self.files:
                        with exploring.scripts(
                            [node], file, None, boot=False, subject=subject
                        ) as scripts:
                            for script in scripts:
                                yield self._pair(paths, terminal, node, script)
            for other in self.others:
                if other.unit == subject.unit:
                    continue
                with (
                    self._node(paths, terminal, subject, other) as node,
                    exploring.scripts(
                        [node], None, None, boot=False, subject=subject, against=other
                    ) as scripts,
                ):
                    yield self._pair(paths, terminal, node, scripts[0])

    def _node(
        self, paths: Paths, terminal: Terminal, *subjects: Subject
    ) -> AbstractContextManager[Node]:
        config = with_needs(self.config, *subjects)
        return session.node_up(paths, config, terminal.step, self.keeping)

    def _pair(self, paths: Paths, terminal: Terminal, node: Node, script: Script) -> Pair:
        image = self.config.image
        with ExplorationFolder(paths.results, image.options if image else ()) as folder:
            where = str(folder.path.relative_to(paths.root))
            terminal.note(f"{script.subject.name} and {script.name}: results go to {where}")
            explored = exploring.explore(
                paths,
                self.config,
                [node],
                scripts=[script],
                options=self.options,
                folder=folder,
                teller=terminal,
            )
        verdict, reason = conclusion(explored, [script.name])
        shortest = explored[script.name].shortest()
        return Pair(
            script.subject.name,
            script.name,
            verdict,
            reason,
            {name: str(one.schedule) for name, one in shortest.items()},
            where,
        )
