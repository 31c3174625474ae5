"""What a store says over time: what fits, what got worse, what is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftchaos.clock import iso
from ftchaos.errors import Invalid
from ftchaos.store import Summary, history

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def _run(days_ago: float, *, recovery_s: float | None = 10.0, loss_s: float | None = 0.0, **other: str) -> Summary:
    began = NOW - timedelta(days=days_ago)
    known = {"name": "restore", "environment": "lab", "verdict": "passed", **other}
    return Summary(
        run_id=f"{began:%Y%m%dT%H%M%SZ}-restore-0000", kind="drill", platform="lab", exit_code=0, began_at=iso(began),
        ended_at=iso(began + timedelta(minutes=1)), summary="", reason="", recovery_time_s=recovery_s,
        data_loss_s=loss_s, lost=0, rto_s=14400, rpo_s=900, commit="", image="", definition_sha256="", undo_failed=0,
        manifest_sha256="", previous_sha256="", signed_by="", **known,
    )  # fmt: skip


def test_only_runs_that_fit_all_that_is_asked_are_found() -> None:
    runs = [_run(1), _run(2, environment="staging"), _run(3, verdict="failed"), _run(40), _run(4, name="other")]

    assert history.fitting(runs, name="restore", environment="lab", since=history.since("30d", NOW)) == [
        runs[0],
        runs[2],
    ]
    assert history.fitting(runs, verdict="failed") == [runs[2]]
    assert history.fitting(runs) == runs


@pytest.mark.parametrize(
    ("text", "found"),
    [("2026-11-01", "2026-11-01T00:00"), ("2026-11-01T06:00:00Z", "2026-11-01T06:00"), ("30d", "2026-10-24T12:00"),
     ("2w", "2026-11-09T12:00"), ("36h", "2026-11-22T00:00")],
)  # fmt: skip
def test_times_are_written_as_people_do(text: str, found: str) -> None:
    assert history.since(text, NOW).isoformat().startswith(found)


@pytest.mark.parametrize("text", ["", "soon", "-1d", "999999w", "2026-13-01", "d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="HINT"):
        history.since(text, NOW)


def test_a_run_is_held_against_the_median_of_those_before_it() -> None:
    runs = [_run(9, recovery_s=10), _run(8, recovery_s=11), _run(7, recovery_s=30), _run(6, recovery_s=13.7),
            _run(5, recovery_s=16)]  # fmt: skip
    found = history.points(list(reversed(runs)))

    assert [one.run for one in found] == runs
    assert [one.recovery_time.median_s for one in found] == [None, None, None, 11, 12.35]
    assert [one.regressed for one in found] == [False, False, False, False, True]


def test_the_first_lost_write_is_worse_than_none() -> None:
    found = history.points([*(_run(9 - day) for day in range(4)), _run(1, loss_s=0.2), _run(0.5, loss_s=None)])

    assert [one.data_loss.regressed for one in found] == [False, False, False, False, True, False]


@given(st.lists(st.none() | st.floats(0, 1e6), max_size=30))
def test_what_never_gets_worse_is_never_a_regression(values: list[float | None]) -> None:
    known = sorted((value for value in values if value is not None), reverse=True)
    found = history.points([_run(100 - day, recovery_s=value) for day, value in enumerate(known)])

    assert not any(one.recovery_time.regressed for one in found)


def test_a_drill_is_due_so_long_after_it_last_came_to_a_conclusion() -> None:
    runs = [_run(31), _run(2, verdict="inconclusive"), _run(1, verdict="unreadable")]

    assert history.due(runs, 30 * 86400, NOW).overdue
    assert history.due(runs, 32 * 86400, NOW).at == NOW + timedelta(days=1, minutes=1)
    assert history.due(runs[1:], 86400, NOW) == history.Due(None, True)


@pytest.mark.parametrize(("days_ago", "said"), [(3.5, "3 d"), (0.5, "11 h"), (0.01, "13 min"), (-1, "0 s")])
def test_an_age_is_said_in_one_unit(days_ago: float, said: str) -> None:
    assert said == history.age(_run(days_ago), NOW)
