"""A game day that was missed shows; one that was held a little early or late does not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import gameday_samples as samples
import pytest

from ftchaos.clock import iso
from ftchaos.gameday import calendar
from ftchaos.gameday.plan import Plan
from ftchaos.store.summary import Summary

MONTHLY = samples.PLAN.replace("parts:", "schedule: {cron: '0 6 1 * *', start_within: 1h}\nparts:")


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return samples.loaded(tmp_path, MONTHLY).plan


def _held(
    at: str, verdict: str = "passed", exit_code: int = 0, environment: str = "lab", name: str = "sample"
) -> Summary:
    began_at = iso(_at(at))
    return Summary(
        f"{_at(at):%Y%m%dT%H%M%SZ}-{name}-7f3a", "gameday", name, environment, "lab", verdict, exit_code,
        began_at, began_at, "", "", None, None, None, 14400.0, 900.0, "", "", "", 0, "", "", "",
    )  # fmt: skip


NOW = "2026-11-23 12:00"


@pytest.mark.parametrize(
    ("held", "overdue"),
    [
        ([], True),
        (["2026-11-01 06:00"], False),
        (["2026-11-20 06:00"], False),
        (["2026-10-28 10:00"], False),  # some days early, and nearest to the first of November
        (["2026-10-03 10:00"], True),
        (["2026-10-03 10:00", "2026-11-02 10:00"], False),
    ],
)
def test_a_day_counts_for_the_date_it_is_nearest_to(plan: Plan, held: list[str], overdue: bool) -> None:
    due = calendar.overdue(plan, [_held(at) for at in held], _at(NOW))

    assert due.overdue is overdue
    assert due.next_at == _at("2026-12-01 06:00")
    assert due.due_at == _at("2026-11-01 06:00")
    assert ("OVERDUE since Sun 2026-11-01 06:00 UTC" in due.sentence) is overdue


def test_a_day_that_is_just_beginning_or_under_way_is_not_overdue(plan: Plan) -> None:
    held = [_held("2026-10-01 06:00")]

    assert not calendar.overdue(plan, held, _at("2026-11-01 06:00")).overdue
    assert not calendar.overdue(plan, held, _at("2026-11-01 08:59")).overdue
    assert calendar.overdue(plan, held, _at("2026-11-01 09:01")).overdue


@pytest.mark.parametrize(
    ("run", "counts"),
    [
        (_held("2026-11-01 06:00", "failed", 1), True),
        (_held("2026-11-01 06:00", "inconclusive", 3), True),
        (_held("2026-11-01 06:00", "inconclusive", 5), False),
        (_held("2026-11-01 06:00", "inconclusive", 130), False),
        (_held("2026-11-01 06:00", "unreadable", 70), False),
        (_held("2026-11-01 06:00", environment="staging"), False),
        (_held("2026-11-01 06:00", name="other"), False),
    ],
)
def test_only_a_day_that_was_held_there_counts(plan: Plan, run: Summary, counts: bool) -> None:
    assert calendar.overdue(plan, [run], _at(NOW)).overdue is not counts


def test_another_environment_has_its_own_calendar(plan: Plan) -> None:
    runs = [_held("2026-11-01 06:00", environment="staging")]

    assert not calendar.overdue(plan, runs, _at(NOW), "staging").overdue


def test_a_plan_without_a_schedule_is_never_overdue(tmp_path: Path) -> None:
    due = calendar.overdue(samples.loaded(tmp_path).plan, [], _at(NOW))

    assert not due.overdue
    assert "has no schedule; never held" == due.sentence
