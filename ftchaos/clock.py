"""One clock for all instants of a run: monotonic inside, UTC for people.

An instant ``*_at`` inside ftchaos is a float of seconds on CLOCK_MONOTONIC. On Linux that
clock is the same in every process and namespace of one boot, so the ledger, the witness and
the engine can compare instants. A :class:`Clock` anchors it once to UTC.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime


def now() -> float:
    """This instant, in seconds on the monotonic clock."""
    return time.monotonic()


@dataclass(frozen=True)
class Clock:
    """The anchor that turns monotonic instants into UTC, taken once at the begin of a run.

    Attributes:
        monotonic_s: the anchor on the monotonic clock.
        utc_s: the same instant in seconds since the Unix epoch.
    """

    monotonic_s: float
    utc_s: float

    @classmethod
    def anchored(cls) -> Clock:
        """A clock anchored at this moment."""
        return cls(monotonic_s=time.monotonic(), utc_s=time.time())

    def utc(self, at: float) -> datetime:
        """The UTC time of a monotonic instant."""
        return datetime.fromtimestamp(self.utc_s + (at - self.monotonic_s), UTC)

    def iso(self, at: float) -> str:
        """The UTC time of a monotonic instant, as evidence writes it: milliseconds and ``Z``."""
        return iso(self.utc(at))

    def at(self, instant: datetime) -> float:
        """The monotonic instant of a UTC time."""
        return instant.timestamp() - self.utc_s + self.monotonic_s


def iso(instant: datetime) -> str:
    """A UTC time as evidence writes it, for example ``2026-11-23T06:15:02.123Z``."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03d}Z"
