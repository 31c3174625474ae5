"""Cron expressions that cron, Kubernetes, systemd and GitHub read alike, in UTC; everything else is refused.

What these systems disagree on is not accepted: a day of the month together with a day of the week (some mean both,
some either), the 7 for Sunday, and letters such as L, W, # and H.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from croniter import CroniterBadCronError, CroniterBadDateError, croniter

from ftchaos.errors import Invalid

_FIELD = re.compile(r"(?:[\d*,/-]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC|SUN|MON|TUE|WED|THU|FRI|SAT){1,80}")
_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_SPANS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_HINT = "write minute, hour, day of the month, month, day of the week, in UTC, like '0 9 15 1,4,7,10 *'"


@dataclass(frozen=True)
class Cron:
    """A checked expression.

    Attributes:
        text: as it was written.
        fields: the values of each of the five fields; None for every one.
    """

    text: str
    fields: tuple[tuple[int, ...] | None, ...]

    def next(self, at: datetime) -> datetime:
        """When it comes next after a time."""
        return self._from(at).get_next(datetime)

    def previous(self, at: datetime) -> datetime:
        """When it came last, at a time or before it."""
        at = at.astimezone(UTC)
        return at if self._from(at).match(self.text, at) and not at.second and not at.microsecond else self._before(at)

    def _before(self, at: datetime) -> datetime:
        return self._from(at).get_prev(datetime)

    def _from(self, at: datetime) -> croniter:
        return croniter(self.plain, at.astimezone(UTC))

    @property
    def plain(self) -> str:
        """The same with numbers only, which every scheduler takes."""
        return " ".join("*" if values is None else _ranges(values, "-") for values in self.fields)

    @property
    def on_calendar(self) -> str:
        """The same for ``OnCalendar`` of a systemd timer."""
        minute, hour, day, month, weekday = self.fields
        days = "" if weekday is None else ",".join(_DAYS[one] for one in weekday) + " "
        date = f"*-{_systemd(month)}-{_systemd(day)}"
        return f"{days}{date} {_systemd(hour)}:{_systemd(minute)}:00 UTC"


def parse(text: object) -> Cron:
    """A cron expression of five fields.

    Raises:
        Invalid: it is none, schedulers disagree on it, or its day never comes.
    """
    fields = text.upper().split() if isinstance(text, str) and len(text) <= 200 else []
    if len(fields) != 5 or not all(_FIELD.fullmatch(field) for field in fields):
        raise Invalid(f"{str(text)[:60]!r} is no cron expression of five plain fields", _HINT)
    try:
        expanded, nth = croniter.expand(" ".join(fields))
    except (CroniterBadCronError, ValueError, KeyError) as error:
        raise Invalid(f"{text!r} is no cron expression: {str(error)[:120]}", _HINT) from error
    if nth or any("7" in field for field in fields[4:] if not field.startswith("*/")):
        raise Invalid(f"{text!r}: schedulers disagree on this day of the week", "Sunday is 0; " + _HINT)
    values = tuple(
        None if "*" in found or set(found) == set(range(low, high + 1)) else tuple(sorted(map(int, found)))
        for found, (low, high) in zip(expanded, _SPANS, strict=True)
    )
    if values[2] is not None and values[4] is not None:
        raise Invalid(
            f"{text!r} has a day of the month and a day of the week, and schedulers disagree on what both mean",
            "give one of the two, and * for the other",
        )
    cron = Cron(str(text), values)
    try:
        cron.next(datetime(2026, 1, 1, tzinfo=UTC))
    except (CroniterBadDateError, OverflowError) as error:
        raise Invalid(f"{text!r} never comes", "no month has such a day") from error
    return cron


def _ranges(values: Sequence[int], to: str) -> str:
    """``1-5,7`` of 1, 2, 3, 4, 5 and 7."""
    runs: list[list[int]] = []
    for value in values:
        if runs and runs[-1][-1] == value - 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ",".join(f"{run[0]}{to}{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)


def _systemd(values: Sequence[int] | None) -> str:
    return "*" if values is None else _ranges(values, "..")
