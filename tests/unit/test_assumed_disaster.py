"""A drill that destroys nothing is judged by the copy alone: its source, which serves on, proves no recovery."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from ftchaos import conclusion, evidence, survivors
from ftchaos.audit import Interval, Surviving, Survivors
from ftchaos.clock import Clock
from ftchaos.evidence import Evidence
from ftchaos.ledger import Outcome
from ftchaos.objectives import Objectives
from ftchaos.record import RunRecord, Step
from ftchaos.traffic import LEDGER, READS_FILE, SURVIVORS_FILE
from ftchaos.undo import FILE as UNDO_FILE
from ftchaos.workload import book

BEGAN_AT = 1000.0
WRITES, APART_S = 100, 0.1
FAULT_AT = BEGAN_AT + WRITES * APART_S + 0.01
WARM_AT = FAULT_AT + 30.0
OBJECTIVES = Objectives(rto_s=60.0, rpo_s=12.0, sustain_s=2.0)


def run(
    folder: Path,
    present: Sequence[Interval],
    *,
    objectives: Objectives = OBJECTIVES,
    late_writes: int = 0,
    read_s: float = 0.01,
) -> Evidence:
    """The evidence of a drill with one writer, and reads of the copy from 30 s after the disaster on.

    Args:
        present: which of its writes are in the copy.
        late_writes: writes that the source acknowledged after the disaster was assumed.
        read_s: how long each read took.
    """
    (folder / "observations").mkdir(parents=True)
    (writer,) = book.create(folder / LEDGER, [("mysql", 1)], BEGAN_AT)
    for number in range(WRITES + late_writes):
        at = BEGAN_AT + number * APART_S
        writer.settle(writer.attempt(at), Outcome.ACKNOWLEDGED, at + 0.001)
    writer.close()
    survivors.keep(folder / SURVIVORS_FILE, [Survivors("mysql", WARM_AT, {1: Surviving(tuple(present))})])
    reads = [struct.pack("<dd?", WARM_AT + number / 20, read_s, True) for number in range(100)]
    (folder / READS_FILE).write_bytes(b"".join(reads))
    (folder / UNDO_FILE).write_text("")
    verified = {"verify_restored": {"answered_at": FAULT_AT + 20}, "verify_replayed": {}, "restore": {}}
    verified["restore"]["available_at"] = FAULT_AT + 15
    RunRecord(
        id="20261128T190000Z-restore-7f3a", kind="drill", name="restore", environment="staging", platform="aws",
        clock=Clock(monotonic_s=BEGAN_AT, utc_s=1_790_000_000.0), began_at=BEGAN_AT, ended_at=WARM_AT + 10,
        objectives=objectives, definition={"path": "restore.yaml", "sha256": "0" * 64, "title": "A restore"}, plan={},
        arguments={}, planned_steps=["lose"], machine=conclusion.this_machine(), facts=verified,
        steps=[Step("method", "lose", FAULT_AT, "succeeded", 0.1)], unmet={"before": [], "after": []},
        injects_fault=False, fault_at=FAULT_AT, watched_until=WARM_AT + 5,
    ).save(folder)  # fmt: skip
    return conclusion.conclude(folder)


def test_a_copy_with_every_write_passes_and_tells_three_times(tmp_path: Path) -> None:
    found = run(tmp_path, [(1, WRITES)])

    assert ("passed", []) == (found.verdict, found.reasons)
    assert (0.0, 0) == (found.data.data_loss_s, found.data.lost)
    assert pytest.approx((15, 20, 30)) == (
        found.recovery.available_s, found.recovery.first_answer_s, found.recovery.recovery_time_s
    )  # fmt: skip
    assert found.service.unavailable_s is None


def test_the_end_of_the_history_may_be_missing_and_is_the_data_loss(tmp_path: Path) -> None:
    found = run(tmp_path, [(1, 80)])

    assert "passed" == found.verdict
    assert pytest.approx(2.0, abs=0.05) == found.data.data_loss_s
    assert 20 == found.data.lost


def test_a_write_that_is_missing_from_the_middle_is_damage(tmp_path: Path) -> None:
    found = run(tmp_path, [(1, 49), (51, WRITES)])

    assert "failed" == found.verdict
    assert "missing from the middle" in " ".join(found.reasons)


def test_writes_that_the_source_takes_after_the_disaster_are_never_in_order(tmp_path: Path) -> None:
    found = run(tmp_path, [(1, WRITES)], late_writes=20)

    assert "failed" == found.verdict


def test_where_nothing_survived_the_ledger_cannot_tell_how_much_was_lost(tmp_path: Path) -> None:
    found = run(tmp_path, [])

    assert ("inconclusive", None) == (found.verdict, found.data.data_loss_s)
    assert "The data loss is unknown." in found.reasons


def test_where_nothing_survived_of_more_than_the_objective_it_is_missed(tmp_path: Path) -> None:
    found = run(tmp_path, [], objectives=Objectives(rto_s=60.0, rpo_s=5.0, sustain_s=2.0))

    assert "failed" == found.verdict
    assert "more than the RPO" in found.reasons[0]


def test_the_healthy_source_is_no_recovery_of_a_copy_that_answers_too_slowly(tmp_path: Path) -> None:
    found = run(tmp_path, [(1, WRITES)], read_s=0.9)

    assert ("inconclusive", None) == (found.verdict, found.recovery.recovery_time_s)


def test_its_sentence_says_that_the_disaster_was_assumed(tmp_path: Path) -> None:
    found = run(tmp_path, [(1, 80)])

    assert evidence.sentence(found).startswith("A disaster was assumed at ")
    assert "20 of 100 acknowledged writes were lost, the oldest 2" in evidence.sentence(found)
