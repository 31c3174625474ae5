"""When each game day is next, and whether one was missed. Pure.

A day that was held counts for the date of its schedule that it is nearest to, so that people may be a little early.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ftchaos.evidence.sentence import moment
from ftchaos.gameday.plan import Plan, Schedule
from ftchaos.store.summary import Summary

REFUSED = 5


@dataclass(frozen=True)
class Due:
    """Where a plan stands in its calendar.

    Attributes:
        next_at: when it comes next; None without a schedule.
        due_at: the last date that has passed, its tolerance included; None without a schedule.
        last: the newest day that was held in the plan's environment; None for never.
        overdue: whether none was held for that date.
    """

    name: str
    environment: str
    next_at: datetime | None
    due_at: datetime | None
    last: Summary | None
    overdue: bool

    @property
    def sentence(self) -> str:
        """The same for people."""
        held = f"last held {_day(moment(self.last.began_at))}: {self.last.verdict}" if self.last else "never held"
        if self.next_at is None or self.due_at is None:
            return f"has no schedule; {held}"
        late = f"OVERDUE since {_day(self.due_at)}; " if self.overdue else ""
        return f"{late}next {_day(self.next_at)}; {held}"


def overdue(plan: Plan, summaries: Sequence[Summary], at: datetime, environment: str = "") -> Due:
    """Whether a plan's game day was missed.

    One that was refused or stopped before any verdict was not held; one that failed was.

    Args:
        summaries: every run of the store, in any order.
        at: now.
        environment: where; the plan's own by default.
    """
    where = environment or plan.environment
    held = max(_held(plan, summaries, where), key=lambda run: moment(run.began_at), default=None)
    if plan.schedule is None:
        return Due(plan.name, where, None, None, held, False)
    due_at = plan.schedule.cron.previous(at - _tolerance(plan))
    return Due(plan.name, where, plan.schedule.cron.next(at), due_at, held, _missed(plan.schedule, due_at, held))


def _missed(schedule: Schedule, due_at: datetime, held: Summary | None) -> bool:
    if held is None:
        return True
    before = schedule.cron.previous(due_at - timedelta(minutes=1))
    return moment(held.began_at) <= due_at - (due_at - before) / 2


def _held(plan: Plan, summaries: Iterable[Summary], environment: str) -> list[Summary]:
    return [
        run
        for run in summaries
        if (run.kind, run.name, run.environment) == ("gameday", plan.name, environment)
        and run.verdict in ("passed", "failed", "inconclusive")
        and run.exit_code not in (REFUSED, 130)
    ]


def _tolerance(plan: Plan) -> timedelta:
    """How long after its date a day may still be begun and be under way."""
    late_s = plan.schedule.start_within if plan.schedule is not None else 0.0
    return timedelta(seconds=late_s + plan.time_box)


def _day(at: datetime) -> str:
    return f"{at.astimezone(UTC):%a %Y-%m-%d %H:%M} UTC"
