"""The run that is under way in this process: one, as Chaos Toolkit allows no more.

Actions and probes find it with :func:`current`. They get their inputs from it and leave their results in it;
the engine reads them when the run ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from ftchaos import fleet
from ftchaos.clock import now
from ftchaos.errors import Invalid, Refused, StepFailed
from ftchaos.objectives import Objectives
from ftchaos.options import Options
from ftchaos.platforms.base import Harm, Platform, Step
from ftchaos.record import NOT_DONE, Phase, RunRecord
from ftchaos.traffic import TrafficProcesses
from ftchaos.undo import UndoLog


class Progress(Protocol):
    """Who is told how a run goes; the terminal implements it."""

    def phase_begin(self, name: str, detail: str = "") -> None: ...

    def phase_end(self, name: str) -> None: ...

    def step(self, name: str) -> None: ...

    def note(self, text: str) -> None: ...

    def count(self, done: int, total: int) -> None: ...

    def writes(self, acknowledged: int, failed: int) -> None: ...

    def close(self) -> None: ...


class SilentProgress:
    """For a run that Chaos Toolkit itself reports on."""

    def phase_begin(self, name: str, detail: str = "") -> None:
        """Nobody listens."""

    def phase_end(self, name: str) -> None:
        """Nobody listens."""

    def step(self, name: str) -> None:
        """Nobody listens."""

    def note(self, text: str) -> None:
        """Nobody listens."""

    def count(self, done: int, total: int) -> None:
        """Nobody listens."""

    def writes(self, acknowledged: int, failed: int) -> None:
        """Nobody listens."""

    def close(self) -> None:
        """Nobody listens."""


@dataclass
class Run:
    """One run from its folder to its end.

    Attributes:
        record: what is kept of it; :meth:`save` puts it on disk.
        ensure_within: refuses a fault that would hit more than is allowed.
    """

    record: RunRecord
    folder: Path
    options: Options
    platform: Platform
    progress: Progress
    undo: UndoLog
    traffic: TrafficProcesses
    ensure_within: Callable[[Harm], None]

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def objectives(self) -> Objectives:
        return self.record.objectives

    def save(self) -> None:
        """Put the record on disk.

        Raises:
            StepFailed: it cannot be written.
        """
        try:
            self.record.save(self.folder)
        except OSError as error:
            raise StepFailed(
                f"the record of the run cannot be written to {self.folder}: {error.strerror}", "make room there"
            ) from error

    def begin_fault(self, fault: str, targets: list[str]) -> None:
        """Mark the instant at which the injection call begins.

        Args:
            fault: what is done, as a clause such as ``the MySQL primary was destroyed``.
            targets: names of the servers that the witness must see go down.
        """
        self.record.fault, self.record.fault_targets = fault, targets
        self.record.fault_at = now()
        self.save()

    def fault_at(self) -> float:
        """When the injection call began.

        Raises:
            StepFailed: there was none.
        """
        if self.record.fault_at is None:
            raise StepFailed("there was no fault to recover from", "see the step that injects it")
        return self.record.fault_at

    def require(self, *steps: str) -> None:
        """Refuse to go on after a step that did not succeed: Chaos Toolkit itself would.

        Raises:
            StepFailed: one of the steps has not succeeded in this run.
        """
        ended = self.record.interrupted or self.record.stopped
        if ended and self.record.kind == "experiment":
            raise StepFailed(f"{NOT_DONE}the run was ended early: {ended}", "run it again")
        for step in steps:
            if step not in self.record.facts:
                raise StepFailed(f"{NOT_DONE}'{step}' did not succeed", "see that step")

    @contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        """A timed part of the recovery: the first begins at the fault, each ends where the next begins."""
        phases = self.record.phases
        began_at = now() if phases else self.fault_at()
        if phases:
            phases[-1].ended_at = began_at
        phase = Phase(name, began_at)
        phases.append(phase)
        self.progress.phase_begin(name)
        try:
            yield phase
        finally:
            phase.ended_at = now()
            self.progress.phase_end(name)

    def step(self, key: str, phase_name: str, act: Callable[[], Step], *needs: str) -> str:
        """Do one step of the recovery as a timed phase and keep what it found out.

        Returns:
            The step's summary, which Chaos Toolkit's journal keeps.
        """
        self.require(*needs)
        with self.phase(phase_name) as phase:
            step = act()
            phase.size_bytes, phase.summary = step.size_bytes, step.summary
        self.keep(key, step)
        return step.summary

    def keep(self, key: str, step: Step) -> None:
        """Keep what a step found out, for the steps after it and for the evidence."""
        self.record.facts[key] = {"summary": step.summary, **step.facts}
        self.save()
        self.progress.note(step.summary)


_active: Run | None = None


def activate(run: Run | None) -> None:
    """Make a run the current one, or none."""
    global _active
    _active = run


def active() -> Run | None:
    """The run under way, if there is one."""
    return _active


def current() -> Run:
    """The run under way.

    Raises:
        Refused: there is none: the definition was run without our control, so nothing would be undone or measured.
    """
    if _active is None:
        raise Refused(
            "no ftchaos run is under way in this process",
            "the definition needs the control ftchaos.control; it may have been refused, see the lines above",
        )
    return _active


def new_id(name: str) -> str:
    """A run id that sorts by time, for example ``20261123T061500Z-restore-7f3a``."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{name}-{fleet.suffix()}"


def make_folder(reports: Path, run_id: str) -> Path:
    """The run's own folder below the reports folder.

    Raises:
        Invalid: it cannot be made.
    """
    folder = reports.absolute() / run_id
    try:
        for part in ("ledger", "observations"):
            (folder / part).mkdir(parents=True)
    except OSError as error:
        raise Invalid(
            f"the reports folder {reports} cannot be written: {error.strerror}", "choose another with --reports DIR"
        ) from error
    return folder
