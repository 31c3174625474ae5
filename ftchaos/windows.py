"""Weekly windows in UTC, as people write them: ``Sat 02:00-06:00``, ``Mon-Fri 22:00-02:00``, ``daily 00:00-24:00``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ftchaos.errors import Invalid

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WINDOW = re.compile(r"(daily|[A-Z][a-z]{2})(?:-([A-Z][a-z]{2}))? (\d\d):(\d\d)-(\d\d):(\d\d)")
_HINT = "write it in UTC like 'Sat 02:00-06:00', 'Mon-Fri 22:00-02:00' or 'daily 00:00-24:00'"


@dataclass(frozen=True)
class Window:
    """A span of time that comes again each week.

    Attributes:
        text: as it was written.
        days: on which it opens, 0 for Monday.
        opens_min: minutes after midnight.
        lasts_min: how long; one that ends before it opens goes on into the next day.
    """

    text: str
    days: frozenset[int]
    opens_min: int
    lasts_min: int

    def holds(self, at: datetime) -> bool:
        """Whether it is open at a time."""
        at = at.astimezone(UTC)
        return any(opens <= at < opens + timedelta(minutes=self.lasts_min) for opens in self._openings(at, -1, 0))

    def next(self, at: datetime) -> datetime:
        """When it opens next after a time."""
        at = at.astimezone(UTC)
        return min(opens for opens in self._openings(at, 0, 7) if opens > at)

    def _openings(self, at: datetime, first: int, last: int) -> list[datetime]:
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
        days = (midnight + timedelta(days=offset) for offset in range(first, last + 1))
        return [day + timedelta(minutes=self.opens_min) for day in days if day.weekday() in self.days]


def parse(text: object) -> Window:
    """A window as people write it.

    Raises:
        Invalid: it is none.
    """
    match = _WINDOW.fullmatch(text) if isinstance(text, str) else None
    if match is None or (match[1] == "daily" and match[2]):
        raise Invalid(f"{text!r} is not a window", _HINT)
    first, last, *clock = match.groups()
    unknown = [day for day in (first, last) if day not in (*DAYS, "daily", None)]
    opens_min, closes_min = (int(clock[at]) * 60 + int(clock[at + 1]) for at in (0, 2))
    wrong = opens_min >= 1440 or closes_min > 1440 or opens_min == closes_min or max(clock[1], clock[3]) >= "60"
    if unknown or wrong:
        raise Invalid(f"{text!r} is not a window", _HINT)
    return Window(match[0], _days(first, last), opens_min, (closes_min - opens_min) % 1440 or 1440)


def _days(first: str, last: str | None) -> frozenset[int]:
    if first == "daily":
        return frozenset(range(7))
    begin = DAYS.index(first)
    count = (DAYS.index(last) - begin) % 7 if last else 0
    return frozenset((begin + day) % 7 for day in range(count + 1))
