"""The audit gives the last work its time: nobody is told that work is undone which is only late."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ftchaos.actions import audit
from ftchaos.components import LATE_S, Seen, Work
from ftchaos.ledger import Ledger, Outcome, WriterLedger, write_id
from ftchaos.run import Run

UPLOAD = write_id(1, 1)


@dataclass
class Queue:
    """Traffic of one upload, whose work is done at the so-manieth look at the database."""

    done_at_look: int
    looks: int = 0

    def read_work(self, connect: Any) -> None:
        self.looks += 1

    def seen(self, clock: Any) -> Seen:
        done_at = 3.0 if self.looks >= self.done_at_look else None
        ledger = Ledger([WriterLedger("uploads", 1, 0.0, bytes([Outcome.ACKNOWLEDGED]), [20, 20])])
        return Seen(ledger, {UPLOAD: Work(1.0, done_at, int(done_at is not None))})


@pytest.mark.parametrize(
    ("done_at_look", "ended_s_ago", "looks"), [(1, 0.0, 1), (3, LATE_S, 3), (9, 31.0, 1)], ids=["done", "late", "never"]
)
def test_work_that_is_under_way_is_waited_for_also_when_it_is_late(
    monkeypatch: pytest.MonkeyPatch, done_at_look: int, ended_s_ago: float, looks: int
) -> None:
    monkeypatch.setattr(audit, "LOOK_S", 0.0)
    queue = Queue(done_at_look)
    platform, record = SimpleNamespace(survivors=None), SimpleNamespace(clock=None)
    run = SimpleNamespace(traffic=queue, platform=platform, record=record, fault_at=lambda: 0.0)
    audit._await_work(cast(Run, run), time.monotonic() - ended_s_ago)

    assert looks == queue.looks
