"""What a run has put into its folder when it has only just begun."""

from __future__ import annotations

from pathlib import Path

from ftchaos import conclusion
from ftchaos.clock import Clock
from ftchaos.objectives import Objectives
from ftchaos.record import RunRecord


def folder_of(run_id: str, below: Path) -> Path:
    """Its folder, with its record in it."""
    path = below / run_id
    path.mkdir()
    clock = Clock.anchored()
    RunRecord(
        id=run_id, kind="experiment", name="begun", environment="lab", platform="lab", clock=clock,
        began_at=clock.monotonic_s, objectives=Objectives(),
        definition={"path": "a.yaml", "sha256": "0" * 64, "title": "A", "description": "a", "tags": []},
        plan={"scenario": "a", "test_type": "a", "expected": "a", "preconditions": [], "assumptions": [],
              "participants": []},
        arguments={}, planned_steps=[], machine=conclusion.this_machine(), keeps_ledger=False,
    ).save(path)  # fmt: skip
    return path
