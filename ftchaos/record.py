"""The raw record of one run, ``run.json``: what was asked for, what was done and when, as it happened.

It is rewritten after every step, so a run that is killed leaves all it knew. Together with the ledger, the
observations, the survivors and the undo log it is all that a verdict is made of: :mod:`ftchaos.conclusion`
computes the evidence from these files alone, at the end of the run and again whenever somebody doubts it.

Instants are seconds on the run's monotonic clock; ``clock`` anchors them to UTC.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ftchaos.atomic import write
from ftchaos.clock import Clock
from ftchaos.errors import Invalid
from ftchaos.objectives import Objectives

FILE = "run.json"
NOT_DONE = "not done, because "


Kind = Literal["drill", "experiment"]
Part = Literal["hypothesis before", "method", "hypothesis after", "rollback"]


@dataclass
class Step:
    """One activity as it went.

    Attributes:
        part: ``hypothesis before``, ``method``, ``hypothesis after`` or ``rollback``.
        status: ``running``, ``succeeded`` or ``failed``.
    """

    part: Part
    name: str
    began_at: float
    status: Literal["running", "succeeded", "failed"] = "running"
    duration_s: float | None = None
    output: Any = None
    error: str = ""


@dataclass
class Phase:
    """A part of the recovery time; it ends where the next begins."""

    name: str
    began_at: float
    ended_at: float | None = None
    size_bytes: int = 0
    summary: str = ""


@dataclass
class RunRecord:
    """See the module.

    Attributes:
        unmet: for ``before`` and ``after``: the probes of the hypothesis that were not met; no entry when not reached.
        planned_steps: names of the method's activities, so that one that never ran shows.
        restores: what a drill restores.
        fault: what was done, as a clause such as ``the MySQL primary was destroyed``.
        fault_targets: names of the servers that the witness must see go down.
        facts: what each step of a recovery found out.
        targets: what the fault was resolved to, each with its name, kind and zone.
        hits: the components that the fault was to disturb.
        gradual: the fault was done bit by bit; see :class:`ftchaos.platforms.base.Harm`.
        promises: what the experiment promises, as :class:`ftchaos.promises.Promises` takes it.
        unasked: what it promises elsewhere and not here, in words, as clients of this environment do not write there.
        said: what the components said of themselves since the fault, as :class:`ftchaos.platforms.base.Event` has it.
        state_before, state_after: how everything stood before the fault, and after all was healed.
        stopped: why a stop condition ended the run.
        problem: why the run could not go on, where it was not a step that failed.
        refused: that problem came from the guard.
        interrupted: what interrupted it.
        answered_at: when a rehearsal without a ledger had an answer to every query.
        watched_until: until when the service was watched after the fault.
    """

    id: str
    kind: Kind
    name: str
    environment: str
    platform: str
    clock: Clock
    began_at: float
    objectives: Objectives
    definition: dict[str, Any]
    plan: dict[str, Any]
    arguments: dict[str, Any]
    planned_steps: list[str]
    machine: dict[str, Any]
    injects_fault: bool = True
    keeps_ledger: bool = True
    restores: Literal["data", "configuration"] = "data"
    accepts_backup_age: bool = False
    ended_at: float | None = None
    steps: list[Step] = field(default_factory=list)
    unmet: dict[str, list[str]] = field(default_factory=dict)
    fault: str = ""
    fault_at: float | None = None
    fault_targets: list[str] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    system: dict[str, Any] = field(default_factory=dict)
    targets: list[dict[str, Any]] = field(default_factory=list)
    hits: list[str] = field(default_factory=list)
    gradual: bool = False
    promises: dict[str, Any] = field(default_factory=dict)
    unasked: list[str] = field(default_factory=list)
    said: list[dict[str, Any]] = field(default_factory=list)
    state_before: dict[str, str] = field(default_factory=dict)
    state_after: dict[str, str] = field(default_factory=dict)
    stopped: str = ""
    problem: str = ""
    refused: bool = False
    interrupted: str = ""
    answered_at: float | None = None
    watched_until: float | None = None

    @property
    def harmed_since(self) -> float | None:
        """From when on harm was done bit by bit; None where it was done at once."""
        return self.fault_at if self.gradual else None

    def save(self, folder: Path) -> None:
        """Put it on disk, whole or not at all."""
        write(folder / FILE, json.dumps(dataclasses.asdict(self), indent=1, default=str, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, folder: Path) -> RunRecord:
        """The record of a run's folder.

        Raises:
            Invalid: there is none, or it is broken.
        """
        path = folder / FILE
        try:
            data = json.loads(path.read_bytes())
            return cls(
                **{
                    **data,
                    "clock": Clock(**data["clock"]),
                    "objectives": Objectives(**data["objectives"]),
                    "steps": [Step(**step) for step in data["steps"]],
                    "phases": [Phase(**phase) for phase in data["phases"]],
                }
            )
        except OSError as error:
            raise Invalid(f"{path} cannot be read: {error.strerror}", "is this the folder of a run?") from error
        except (ValueError, KeyError, TypeError) as error:
            raise Invalid(f"{path} is broken: {error}", "was it edited?") from error
