"""What passes prove is said honestly: the exact bound, and never more."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ftchaos.gate.confidence import passes_for, proven_rate


@pytest.mark.parametrize(
    ("passed", "runs", "rate"),
    [(0, 0, 0.0), (0, 9, 0.0), (1, 1, 0.05), (5, 5, 0.5493), (20, 20, 0.8609), (59, 59, 0.9505), (58, 58, 0.9497)],
)
def test_the_known_bounds(passed: int, runs: int, rate: float) -> None:
    assert proven_rate(passed, runs) == pytest.approx(rate, abs=1e-4)


@pytest.mark.parametrize(
    ("passed", "runs", "rate"), [(9, 10, 0.6058), (1, 2, 0.0253), (2, 3, 0.1354), (95, 100, 0.8977)]
)
def test_a_failure_costs_what_clopper_and_pearson_say(passed: int, runs: int, rate: float) -> None:
    """The figures are those of the beta distribution's 5 % quantile."""

    assert proven_rate(passed, runs) == pytest.approx(rate, abs=1e-4)


@given(some.integers(1, 400), some.integers(0, 400))
@settings(deadline=None)
def test_a_further_failure_proves_less_and_a_further_pass_more(passed: int, failures: int) -> None:
    here = proven_rate(passed, passed + failures)

    assert 0 < here < 1
    assert proven_rate(passed, passed + failures + 1) <= here <= proven_rate(passed + 1, passed + failures + 1) + 1e-9


@given(some.floats(0.01, 0.997))
def test_so_many_passes_prove_the_rate_and_one_less_does_not(rate: float) -> None:
    needed = passes_for(rate)

    assert proven_rate(needed, needed) >= rate
    assert needed == 1 or proven_rate(needed - 1, needed - 1) < rate


def test_fifty_nine_passes_prove_95_percent() -> None:
    assert passes_for(0.95) == 59
    assert passes_for(0.05) == 1


def test_more_passes_than_runs_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        proven_rate(3, 2)
