"""One clock: instants become UTC and come back, and evidence writes them in one way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ftchaos import clock

ANCHOR = clock.Clock(monotonic_s=1000.0, utc_s=datetime(2026, 11, 23, 6, 15, tzinfo=UTC).timestamp())


def test_instant_after_the_anchor_is_that_much_later_in_utc() -> None:
    assert "2026-11-23T06:15:02.250Z" == ANCHOR.iso(1002.25)


def test_instant_before_the_anchor_is_earlier_in_utc() -> None:
    assert "2026-11-23T06:14:59.500Z" == ANCHOR.iso(999.5)


def test_utc_and_back_is_the_same_instant() -> None:
    assert 1234.567 == pytest.approx(ANCHOR.at(ANCHOR.utc(1234.567)), abs=1e-6)


def test_time_of_another_zone_is_written_in_utc() -> None:
    paris = timezone(timedelta(hours=1))

    assert "2026-11-23T06:15:02.123Z" == clock.iso(datetime(2026, 11, 23, 7, 15, 2, 123999, tzinfo=paris))


def test_clock_is_anchored_at_this_moment() -> None:
    before = clock.now()
    anchored = clock.Clock.anchored()

    assert before <= anchored.monotonic_s <= clock.now()
    assert abs(datetime.now(UTC).timestamp() - anchored.utc(clock.now()).timestamp()) < 1


def test_clock_that_is_set_during_a_run_changes_no_duration() -> None:
    later = ANCHOR.utc(1010.0) - ANCHOR.utc(1004.0)

    assert timedelta(seconds=6) == later
