"""What a store says over time: which runs fit a question, how a drill goes, and when it is due again. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median

from ftchaos.errors import Invalid
from ftchaos.store.summary import Summary
from ftchaos.units import duration_s

TOLERANCE = 0.25
LEAST_EARLIER = 3
FLOOR_S = 0.05
"""A difference below this is none: no run resolves it."""
_RUN = re.compile(r"^\d{8}T\d{6}Z-|-[0-9a-f]{4}$")
_DAYS = re.compile(r"(\d{1,5})(d|w)")


@dataclass(frozen=True)
class Figure:
    """One measured value of one run beside those of earlier runs.

    Attributes:
        value_s: None where it was not measured.
        median_s: of the earlier runs that measured it; None where they are too few to say.
        regressed: it is worse than the median by more than the tolerance.
    """

    value_s: float | None
    median_s: float | None
    regressed: bool


@dataclass(frozen=True)
class Point:
    """One run in the history of a drill or experiment."""

    run: Summary
    recovery_time: Figure
    data_loss: Figure

    @property
    def regressed(self) -> bool:
        return self.recovery_time.regressed or self.data_loss.regressed


@dataclass(frozen=True)
class Due:
    """When the next run is due.

    Attributes:
        at: the date; None where it never ran.
        overdue: whether that has passed, or it never ran.
    """

    at: datetime | None
    overdue: bool


def fitting(
    runs: Sequence[Summary], *, name: str = "", environment: str = "", verdict: str = "", since: datetime | None = None
) -> list[Summary]:
    """The runs that fit all that is asked; an empty text asks nothing."""
    from_at = since.astimezone(UTC).isoformat()[:19] if since else ""
    return [
        run
        for run in runs
        if name in ("", run.name)
        and environment in ("", run.environment)
        and verdict in ("", run.verdict)
        and run.began_at[:19] >= from_at
    ]


def newest(runs: Iterable[Summary], name: str) -> Summary | None:
    """The newest run of a definition by the ids, which also a run has that cannot be read."""
    return max((run for run in runs if _RUN.sub("", run.run_id) == name), key=lambda run: run.run_id, default=None)


def age(run: Summary, now: datetime) -> str:
    """How long ago a run ended, in one unit."""
    seconds = (now - datetime.fromisoformat(run.ended_at)).total_seconds()
    for length_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length_s:
            return f"{seconds // length_s:.0f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"


def since(text: str, now: datetime) -> datetime:
    """A time in the past as people write it: ``2026-11-01``, ``2026-11-01T06:00:00Z``, ``30d``, ``8w`` or ``36h``.

    Raises:
        Invalid: it is none of them.
    """
    try:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except ValueError:
        pass
    try:
        return now - timedelta(seconds=period_s(text))
    except OverflowError as error:
        raise Invalid(f"{text!r} is too long ago", "write it like 30d or 2026-11-01") from error


def period_s(text: str) -> float:
    """A period as people write it: ``30d``, ``13w``, or a duration such as ``36h``.

    Raises:
        Invalid: it is none.
    """
    match = _DAYS.fullmatch(text)
    if match:
        return int(match[1]) * 86400.0 * (7 if match[2] == "w" else 1)
    return duration_s(text)


def points(runs: Sequence[Summary], tolerance: float = TOLERANCE) -> list[Point]:
    """The history of runs of one definition in one environment, oldest first, each against those before it.

    Args:
        runs: in any order.
        tolerance: by which share of the median a value may be worse.
    """
    times: list[float] = []
    losses: list[float] = []
    found = []
    for run in sorted(runs, key=lambda one: (one.began_at, one.run_id)):
        found.append(
            Point(run, _figure(run.recovery_time_s, times, tolerance), _figure(run.data_loss_s, losses, tolerance))
        )
    return found


def _figure(value_s: float | None, earlier: list[float], tolerance: float) -> Figure:
    """A value against the earlier ones, to which it is added then."""
    middle_s = median(earlier) if len(earlier) >= LEAST_EARLIER else None
    worse = value_s is not None and middle_s is not None and value_s > middle_s * (1 + tolerance) + FLOOR_S
    if value_s is not None:
        earlier.append(value_s)
    return Figure(value_s, middle_s, worse)


def due(runs: Sequence[Summary], every_s: float, now: datetime) -> Due:
    """When the next run is due: so long after the newest that came to a conclusion."""
    newest = max((run.ended_at for run in runs if run.verdict in ("passed", "failed")), default="")
    if not newest:
        return Due(None, True)
    at = datetime.fromisoformat(newest) + timedelta(seconds=every_s)
    return Due(at, at < now)
