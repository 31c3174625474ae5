"""What a report says of each promise is what the promises themselves say, and unknown is never kept."""

from __future__ import annotations

import dataclasses

import pytest
import sample_experiments

from ftchaos import promises
from ftchaos.components import Jobs, Timeline
from ftchaos.evidence import Evidence
from ftchaos.promises import Kept, Promises
from ftchaos.report import promised
from ftchaos.sampled import Sampled

ALL = Promises(recovery_time_s=60, lost={"mysql": 0, "redis": 3, "redis-wait": 0}, success=0.995, jobs=True)
NOTHING = Sampled(())


def _evidence(*reasons: str, verdict: str = "failed") -> Evidence:
    evidence = sample_experiments.zone_outage()
    evidence.plan.promises = ALL.words()
    if reasons:
        evidence.verdict, evidence.exit_code = verdict, 1 if verdict == "failed" else 3  # type: ignore[assignment]
        evidence.reasons = list(reasons)
    return evidence


def _kept(watched_s: float, lost: dict[str, int] | None, success: float | None, jobs: Jobs | None) -> Kept:
    queue = Timeline("queue", True, 0.1, None, None, None, NOTHING)
    return Kept([queue], lost, success, jobs, fault_at=0.0, watched_s=watched_s)


def test_all_promises_of_a_run_that_passed_are_kept() -> None:
    rows = promised.promised(_evidence())

    assert {row.judged for row in rows} == {"kept"}
    assert promised.all_kept(rows) is True
    assert promised.kept_words(rows) == "6 of 6 kept"


def test_each_broken_promise_is_found_by_its_own_clause() -> None:
    lost = {"mysql": 1, "redis-a": 9, "redis-wait-b": 2}
    clauses = promises.broken(ALL, _kept(60.5, lost, 0.8, Jobs(10, 8, 2, 0, 0, 0, None)))
    rows = promised.promised(_evidence(*(f"A promise was broken: {clause}." for clause in clauses)))

    assert len(clauses) == len(rows) == 6
    assert [row.detail for row in rows] == list(clauses)
    assert {row.kept for row in rows} == {False}


def test_each_promise_that_nobody_can_judge_is_found_by_its_own_clause() -> None:
    clauses = promises.unknown(ALL, _kept(3.0, None, None, None))
    reasons = (f"It is not known: {clause}." for clause in clauses)
    rows = promised.promised(_evidence(*reasons, verdict="inconclusive"))

    assert [row.detail for row in rows] == [f"it is not known {clause}" for clause in clauses]
    assert promised.all_kept(rows) is None


def test_recovery_of_what_no_client_uses_is_unknown_and_not_kept() -> None:
    control = dataclasses.replace(_kept(3.0, {}, 1.0, None), timelines=[])
    (clause,) = promises.unknown(Promises(recovery_time_s=60.0), control)
    row, *others = promised.promised(_evidence(f"It is not known: {clause}.", verdict="inconclusive"))
    quiet = _evidence()
    for one in quiet.components:
        one.hit = False

    assert (None, f"it is not known {clause}") == (row.kept, row.detail)
    assert {""} == {one.detail for one in others}
    assert promised.promised(quiet)[0].kept is None


def test_the_loss_of_one_way_breaks_no_promise_about_another() -> None:
    clause = promises.broken(Promises(lost={"redis-wait": 0}), _kept(1, {"redis-wait-a": 2}, 1, None))[0]
    rows = promised.promised(_evidence(f"A promise was broken: {clause}."))

    assert [row.kept for row in rows] == [True, True, True, False, True, True]
    assert promised.kept_words(rows) == "5 of 6 kept, 1 broken"


def test_nothing_is_kept_in_a_run_that_proved_nothing() -> None:
    rows = promised.promised(_evidence("The witness did not see the fault bite.", verdict="inconclusive"))

    assert {row.kept for row in rows} == {None}


@pytest.mark.parametrize("missing", ["restored", "lost", "success", "jobs"])
def test_what_was_not_measured_is_not_kept_though_nothing_speaks_against_it(missing: str) -> None:
    evidence = _evidence("The steady state was not met after: a writer is in place.")
    if missing == "restored":
        evidence.components[0].restored_at = None
    elif missing == "lost":
        evidence.data.lost = None
    elif missing == "success":
        evidence.service.success_ratio = None
    else:
        evidence.jobs = None
    unknown = [row.words for row in promised.promised(evidence) if row.kept is None]

    words = {
        "restored": "Whatever is hit",
        "lost": ("No acknowledged write of", "At most"),
        "success": "At least",
        "jobs": "All work",
    }
    assert unknown
    assert all(line.startswith(words[missing]) for line in unknown)
