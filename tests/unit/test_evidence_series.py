"""Buckets count every operation of the window once and never mix before and after the fault."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftchaos.evidence import buckets


def test_operations_are_counted_by_outcome_with_their_95th_percentile() -> None:
    operations = [(10 + step / 100, 0.001 * (step + 1), step % 4 > 0) for step in range(100)]

    series = buckets("writes", operations, origin_at=10, from_at=10, to_at=11, points=1)

    assert (series.from_s, series.step_s) == (0, 1)
    assert (series.succeeded[0], series.failed[0]) == (75, 25)
    assert series.p95_ms[0] == 95.0


def test_no_bucket_mixes_the_time_before_the_fault_with_the_time_after() -> None:
    series = buckets("writes", [(9.999, 0, True), (10.0, 0, False)], origin_at=10, from_at=3.3, to_at=17, points=10)

    zero = round(-series.from_s / series.step_s)
    assert (series.succeeded[zero - 1], series.failed[zero - 1]) == (1, 0)
    assert (series.succeeded[zero], series.failed[zero]) == (0, 1)


def test_a_bucket_without_operations_has_no_latency() -> None:
    assert buckets("writes", [], origin_at=0, from_at=0, to_at=2).p95_ms == [None] * 40


@pytest.mark.parametrize("length_s", [0.0, 0.01, 1, 40, 3600, 14400, 9e6])
def test_any_length_gives_a_bounded_number_of_buckets(length_s: float) -> None:
    series = buckets("writes", [], origin_at=1.7, from_at=1, to_at=1 + length_s)

    assert 1 <= len(series.succeeded) <= 242


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(-50, 50), st.floats(0, 3), st.booleans()), max_size=50),
    st.floats(-40, 0),
    st.floats(0, 40),
)
def test_every_operation_of_the_window_is_counted_once(
    operations: list[tuple[float, float, bool]], from_at: float, to_at: float
) -> None:
    series = buckets("writes", operations, origin_at=-7.3, from_at=from_at, to_at=to_at)

    inside = [operation for operation in operations if from_at <= operation[0] < to_at]
    assert sum(series.succeeded) + sum(series.failed) == len(inside)
