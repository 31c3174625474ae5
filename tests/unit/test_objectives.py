"""Objectives say what was promised and whether a measurement keeps it."""

from __future__ import annotations

import math

import pytest

from ftchaos.errors import Invalid
from ftchaos.objectives import Objectives


def test_the_default_promises_are_those_of_the_file_transfer_system() -> None:
    objectives = Objectives()

    assert (objectives.rto_s, objectives.rpo_s, objectives.success, objectives.p95_s) == (14400, 900, 0.995, 0.5)


def test_an_objective_reached_to_the_second_is_met() -> None:
    objectives = Objectives(rto_s=10, rpo_s=0)

    assert objectives.rto_met(10.0) is True
    assert objectives.rto_met(10.001) is False
    assert objectives.rpo_met(0.0) is True
    assert objectives.rpo_met(0.02) is False


@pytest.mark.parametrize("broken", [None, math.nan, math.inf, -math.inf, -0.1])
def test_a_broken_measurement_is_neither_met_nor_missed(broken: float | None) -> None:
    assert Objectives().rto_met(broken) is None
    assert Objectives().rpo_met(broken) is None


@pytest.mark.parametrize("field", ["rto_s", "rpo_s", "success", "p95_s", "sustain_s"])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "4h", None, True])
def test_an_objective_that_is_no_number_is_refused(field: str, value: object) -> None:
    with pytest.raises(Invalid, match=field):
        Objectives(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("success", [0, 1.5, 99.5])
def test_a_success_that_is_no_share_is_refused(success: float) -> None:
    with pytest.raises(Invalid, match="share"):
        Objectives(success=success)


def test_the_service_objective_reads_as_a_sentence_part() -> None:
    assert Objectives(sustain_s=3).service_words() == "99.5 % succeed, P95 500 ms, for 3 s"
