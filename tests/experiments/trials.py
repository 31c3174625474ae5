"""Experiments on a lab that outlives them, as the engine runs them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from stages import Stage
from workplaces import Workplace

from ftchaos import engine, planning, verification
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab import faults
from ftchaos.platforms.lab.lab import Lab
from ftchaos.report import progress

LAB = "trials"


@dataclass(frozen=True)
class Trials:
    """One lab, and how an experiment is run on it."""

    stage: Stage

    @classmethod
    def build(cls, place: Workplace, name: str, flavour: str) -> Trials:
        return cls(Stage.build(place, name, flavour))

    @property
    def lab(self) -> Lab:
        return self.stage.lab

    def run(self, name: str, **given: Any) -> engine.Result:
        """Run an experiment to its end; its evidence can be computed again, and nothing is left of it."""
        options = {"lab": self.stage.name, "reports": str(self.stage.place.reports), **given}
        result = engine.run(planning.plan("experiment", name, options), progress.for_stream(sys.stderr))
        assert verification.verify(result.folder) == []
        assert not list(self.stage.place.state.glob("runs/*.json"))
        return result

    def ensure_whole(self, result: engine.Result) -> None:
        """Everything that was harmed is healed, and every service of the lab lives."""
        undo = result.evidence.undo
        assert undo.recorded == undo.healed > 0
        self.stage.ensure_up()


def component(result: engine.Result, name: str) -> Any:
    """The evidence of one component."""
    return next(one for one in result.evidence.components if one.name == name)


def weakened(
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    act: Callable[[Lab], None],
    undo: Callable[[Lab], None],
    *,
    before: bool = False,
) -> None:
    """Weaken the lab right after a fault was injected, or right before, until it is healed."""
    real = faults.FAULTS[fault]

    def inject(lab: Lab, harm: Harm) -> str:
        if before:
            act(lab)
        said = real.inject(lab, harm)
        if not before:
            act(lab)
        return said

    def heal(lab: Lab, arguments: Mapping[str, Any]) -> str:
        undo(lab)
        return real.heal(lab, arguments)

    monkeypatch.setitem(faults.FAULTS, fault, faults.Fault(real.plan, inject, heal))  # type: ignore[arg-type]


def no_inject(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Let a fault do nothing at all, and say that it did."""
    real = faults.FAULTS[fault]
    fake = faults.Fault(real.plan, lambda lab, harm: harm.clause, real.heal)
    monkeypatch.setitem(faults.FAULTS, fault, fake)  # type: ignore[arg-type]
