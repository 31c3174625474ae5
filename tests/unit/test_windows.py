"""Weekly windows: what is open when, over midnight and over the end of the week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ftchaos.errors import Invalid
from ftchaos.windows import parse

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def _at(day: int, clock: str) -> datetime:
    hour, minute = map(int, clock.split(":"))
    return MONDAY + timedelta(days=day, hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("text", "day", "clock", "open_"),
    [
        ("Sat 02:00-06:00", 5, "02:00", True),
        ("Sat 02:00-06:00", 5, "05:59", True),
        ("Sat 02:00-06:00", 5, "06:00", False),
        ("Sat 02:00-06:00", 5, "01:59", False),
        ("Sat 02:00-06:00", 4, "03:00", False),
        ("Sun 22:00-02:00", 7, "01:59", True),
        ("Sun 22:00-02:00", 6, "01:59", False),
        ("Mon-Fri 22:00-02:00", 5, "01:00", True),
        ("Mon-Fri 22:00-02:00", 5, "22:30", False),
        ("Fri-Mon 10:00-11:00", 6, "10:30", True),
        ("Fri-Mon 10:00-11:00", 1, "10:30", False),
        ("daily 00:00-24:00", 2, "23:59", True),
        ("daily 00:00-24:00", 3, "00:00", True),
    ],
)
def test_window_is_open_when_it_says(text: str, day: int, clock: str, open_: bool) -> None:
    assert open_ is parse(text).holds(_at(day, clock))


def test_time_of_another_zone_is_taken_as_utc() -> None:
    assert parse("Mon 02:00-03:00").holds(_at(0, "04:30").replace(tzinfo=timezone(timedelta(hours=2))))


@pytest.mark.parametrize(("day", "clock", "opens_day"), [(0, "00:00", 5), (5, "01:00", 5), (5, "02:00", 12)])
def test_next_opening_is_told(day: int, clock: str, opens_day: int) -> None:
    assert _at(opens_day, "02:00") == parse("Sat 02:00-06:00").next(_at(day, clock))


@pytest.mark.parametrize(
    "text",
    [
        "", "Sat", "Sat 2:00-6:00", "sat 02:00-06:00", "Sam 02:00-06:00", "Sat 24:00-06:00", "Sat 02:60-06:00",
        "Sat 02:00-24:01", "Sat 02:00-02:00", "daily-Fri 02:00-03:00", "Sat 02:00-06:00 ", 5, None,
    ],
)  # fmt: skip
def test_what_is_no_window_is_refused(text: object) -> None:
    with pytest.raises(Invalid, match="is not a window\nHINT: write it in UTC"):
        parse(text)
