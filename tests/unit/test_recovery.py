"""Recovery from client operations: the sustained window against a naive search, and how the service did."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftchaos.ledger import WriterLedger
from ftchaos.objectives import Objectives
from ftchaos.recovery import SILENCE, Operations, Restored, operations, outages, part, partition, restored, service

STEP_S = 0.02
OBJECTIVES = Objectives(sustain_s=3.0)


def run_of(
    length_s: float,
    works: Callable[[float], bool] = lambda at: True,
    latency_s: Callable[[float], float] = lambda at: 0.01,
) -> Operations:
    """An operation each 20 ms from 0 on."""
    at = [index * STEP_S for index in range(round(length_s / STEP_S))]
    return Operations(array("d", at), array("d", map(latency_s, at)), bytes(works(one) for one in at))


def outage(begin_at: float, end_at: float) -> Callable[[float], bool]:
    return lambda at: not begin_at <= at < end_at


def test_service_is_restored_with_the_first_operation_after_the_outage() -> None:
    found = restored(run_of(20, outage(5, 8)), OBJECTIVES, 5.0)

    assert found is not None
    assert pytest.approx((8.0, STEP_S)) == (found.at, found.resolution_s)


def test_service_that_never_broke_is_restored_at_the_fault() -> None:
    found = restored(run_of(20), OBJECTIVES, 5.0)

    assert found is not None
    assert pytest.approx(5.0, abs=STEP_S) == found.at


def test_window_that_has_not_passed_is_no_recovery() -> None:
    assert restored(run_of(10.9, outage(5, 8)), OBJECTIVES, 5.0) is None


def test_relapse_within_the_window_begins_it_anew() -> None:
    found = restored(run_of(20, lambda at: not (5 <= at < 8 or 9 <= at < 9.5)), OBJECTIVES, 5.0)

    assert found is not None
    assert pytest.approx(9.5) == found.at


def test_slow_answers_are_no_recovery() -> None:
    found = restored(run_of(20, outage(5, 6), lambda at: 0.8 if 6 <= at < 8 else 0.02), OBJECTIVES, 5.0)

    assert found is not None
    assert pytest.approx(8.0, abs=8 * STEP_S) == found.at
    assert found.at >= 7.98 - 0.05 * OBJECTIVES.sustain_s


def test_window_without_operations_is_no_recovery() -> None:
    rows = [row for row in run_of(20, outage(5, 6)) if not 7 <= row[0] < 8.5]
    gapped = Operations([row[0] for row in rows], [row[1] for row in rows], bytes(row[2] for row in rows))

    found = restored(gapped, OBJECTIVES, 5.0)

    assert found is not None
    assert pytest.approx(8.5) == found.at


def test_no_operations_are_no_recovery() -> None:
    assert restored(Operations([], [], b""), OBJECTIVES, 5.0) is None


def test_operation_that_was_never_answered_is_a_failure() -> None:
    writer = WriterLedger("uploads", 1, 0.0, b"\2\1\3\4\2", [20, 1] * 5)

    assert [True, False, False, False, True] == [succeeded for _, _, succeeded in operations([writer])]


def test_operations_of_several_writers_are_in_the_order_they_were_sent() -> None:
    first = WriterLedger("uploads", 1, 0.0, b"\2\2", [20, 1, 60, 1])
    second = WriterLedger("uploads", 2, 0.0, b"\3\2", [40, 5, 80, 1])

    together = operations([first, second])

    assert pytest.approx([0.001, 0.002, 0.003, 0.004]) == list(together.sent_at)
    assert b"\1\0\1\1" == together.succeeded


@pytest.mark.parametrize(
    ("works", "restored_at"),
    [
        (lambda at: True, 5.0),
        (lambda at: round(at / STEP_S) % 200 > 0, 5.0),  # of a window's 150 one
        (outage(6, 8), 8.0),
        (lambda at: not (6 <= at < 8 or 15 <= at < 16), 16.0),
        (lambda at: not (6 <= at < 8 or 24 <= at < 26), 26.0),
        (outage(30, 31), 31.0),
    ],
    ids=["nothing failed", "little failed", "early", "twice", "when all was seen", "later"],
)
def test_harm_done_bit_by_bit_is_recovered_from_when_the_last_of_it_is(
    works: Callable[[float], bool], restored_at: float
) -> None:
    found = restored(run_of(40, works), replace(OBJECTIVES, success=0.99), 25.0, since_at=5.0)

    assert found is not None
    assert pytest.approx(restored_at, abs=STEP_S) == found.at


def test_first_operation_of_all_is_measured_from_the_begin_of_harm_done_bit_by_bit() -> None:
    late = part(run_of(40, lambda at: True), 12.0, math.inf)
    found = restored(late, OBJECTIVES, 25.0, since_at=5.0)

    assert found is not None
    assert (pytest.approx(12.0, abs=STEP_S), pytest.approx(7.0, abs=STEP_S)) == (found.at, found.resolution_s)


@pytest.mark.parametrize("length_s", [27.0, 28.5, 40.0])
def test_harm_done_bit_by_bit_is_not_recovered_from_before_a_window_after_all_of_it(length_s: float) -> None:
    assert restored(run_of(length_s, outage(25.5, 40)), OBJECTIVES, 25.0, since_at=5.0) is None


def naive(run: Operations, objectives: Objectives, after_at: float) -> Restored | None:
    rows = list(run)
    for index, (at, latency_s, succeeded) in enumerate(rows):
        inside = [row for row in rows[index:] if row[0] < at + objectives.sustain_s]
        if at < after_at or index + len(inside) == len(rows):
            continue
        edge = [*inside, rows[index + len(inside)]]
        gaps = [later[0] - earlier[0] for earlier, later in pairwise(edge)]
        good = sorted(row[1] for row in inside if row[2])
        met = len(good) / len(inside) >= objectives.success
        met = met and good[math.ceil(0.95 * len(good)) - 1 : math.ceil(0.95 * len(good))] <= [objectives.p95_s]
        if met and succeeded and latency_s <= objectives.p95_s and max(gaps) <= SILENCE * objectives.sustain_s:
            return Restored(at, at - rows[index - 1][0] if index else at - after_at)
    return None


@given(
    st.lists(
        st.tuples(st.sampled_from([1, 1, 1, 1, 5, 40]), st.sampled_from([1, 1, 1, 9]), st.sampled_from([1, 1, 1, 0])),
        max_size=80,
    ),
    st.sampled_from([0.5, 0.8, 0.9, 1.0]),
    st.integers(0, 40),
)
def test_restored_is_what_a_naive_search_finds(rows: list[tuple[int, int, int]], success: float, after: int) -> None:
    at, sent_at = 0.0, []
    for gap, _, _ in rows:
        at += gap / 8  # exact in binary, so that both searches meet the same edges
        sent_at.append(at)
    run = Operations(sent_at, [latency / 8 for _, latency, _ in rows], bytes(ok for _, _, ok in rows))
    objectives = Objectives(success=success, p95_s=0.5, sustain_s=3.0)

    assert naive(run, objectives, after / 8) == restored(run, objectives, after / 8)


def test_service_is_summed_up() -> None:
    found = service(run_of(10, outage(5, 8), lambda at: 0.2 if at < 1 else 0.01))

    assert pytest.approx(0.7) == found.success_ratio
    assert (10.0, 200.0, 200.0) == (found.p50_ms, found.p95_ms, found.p99_ms)
    assert pytest.approx(3.0) == found.unavailable_s


def test_outage_at_the_end_lasts_until_its_last_failure_was_known() -> None:
    (found,) = outages(run_of(6, outage(5, 9)))

    assert pytest.approx((5.0, 5.99)) == (found.began_at, found.ended_at)


def test_service_without_operations_is_unknown() -> None:
    assert {None} == set(service(Operations([], [], b"")).as_dict().values())


def test_phases_partition_the_recovery() -> None:
    spans = partition(10.0, 20.0, [("detect", 10.1), ("restore", 12.0), ("verify", 15.0), ("warm", 21.0)])

    assert [("detect", 10.0, 12.0), ("restore", 12.0, 15.0), ("verify", 15.0, 20.0), ("warm", 20.0, 20.0)] == [
        (span.name, span.began_at, span.ended_at) for span in spans
    ]
    assert pytest.approx(10.0) == sum(span.duration_s for span in spans)


@given(st.lists(st.floats(-5, 50), min_size=1), st.floats(0, 10), st.floats(0, 30))
def test_partition_has_no_gaps_whatever_the_marks(ats: list[float], began_at: float, length_s: float) -> None:
    spans = partition(began_at, began_at + length_s, [("x", at) for at in ats])

    assert (began_at, began_at + length_s) == (spans[0].began_at, spans[-1].ended_at)
    assert all(one.ended_at == after.began_at for one, after in pairwise(spans))
    assert all(span.duration_s >= 0 for span in spans)


def test_stricter_objective_is_met_later_or_never() -> None:
    run = run_of(30, lambda at: at < 5 or (at >= 8 and round(at / STEP_S) % 50 != 0))

    assert restored(run, replace(OBJECTIVES, success=0.97), 5.0) is not None
    assert restored(run, OBJECTIVES, 5.0) is None
