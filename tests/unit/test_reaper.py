"""When the reaper heals for a run: where it neither heals nor has healed, and not while it is at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftchaos import notes
from ftchaos.reaper import GRACE_S, Overtime
from ftchaos.undo import Healing, Record, UndoLog

RUN = "20261123T061500Z-overtime-7f3a"


def test_run_that_takes_its_time_to_heal_is_not_said_not_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path))
    notes.Note(RUN, str(tmp_path), "lab.x", "lab").write()
    undo = UndoLog(notes.undo_log(RUN))
    undo.record("lab", "fault.fail_zone", {}, "zone-c lost its power")
    overtime = Overtime(RUN, limit_s=1.0)
    for at in (100.0, 102.0):
        overtime.look(at)
    healed_for_it: list[float] = []

    def heal_for_it(*_: Any, **__: Any) -> Healing:
        healed_for_it.append(at)
        return Healing()

    def heal(_: Record) -> str:
        overtime.look(at)
        raise OSError("it resists")

    monkeypatch.setattr(overtime._undo, "heal", heal_for_it)
    at = 103.0 + GRACE_S
    undo.heal(heal)

    assert [] == healed_for_it
    assert "does not heal" not in capsys.readouterr().err

    overtime.look(at)

    assert [at] == healed_for_it
    assert "the run does not heal; its faults are healed for it" in capsys.readouterr().err
