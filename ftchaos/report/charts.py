"""The geometry of the waterfall and of time axes. Pure: evidence in, percentages out.

Positions along time are percentages, so that a chart fills a phone and a wide screen without a script
and its text keeps its size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ftchaos.evidence import Evidence
from ftchaos.evidence.sentence import moment
from ftchaos.report.wording import offset

_LEAST_BAR = 0.5
_MOST_TICKS = 5
_FREE = 75.0  # percent of the axis that leave room on a phone for the label of its end
_TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


@dataclass(frozen=True)
class Tick:
    """A mark on an axis; ``anchor`` keeps its label inside the chart."""

    position: float
    label: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Row:
    """A phase in the waterfall; x and width are percentages of the recovery time."""

    name: str
    detail: str
    duration_s: float
    share: float
    bytes: int
    x: float
    width: float
    longest: bool


@dataclass(frozen=True)
class Waterfall:
    """Where each second of the recovery time went."""

    rows: list[Row]
    ticks: list[Tick]
    total_s: float


def waterfall(evidence: Evidence) -> Waterfall | None:
    """The phases on their own axis; None when there are none.

    Time that no phase covers is a row of its own: phases partition the recovery time, and where they do
    not, the reader must see it.
    """
    phases = evidence.recovery.phases
    if not phases:
        return None
    origin = moment(evidence.recovery.fault_at or phases[0].began_at)
    begins = [max(0.0, (moment(phase.began_at) - origin).total_seconds()) for phase in phases]
    covered_s = max(begin + phase.duration_s for begin, phase in zip(begins, phases, strict=True))
    total_s = evidence.recovery.recovery_time_s or covered_s
    axis_s = max(total_s, covered_s) or 1.0
    longest = max(range(len(phases)), key=lambda index: phases[index].duration_s)
    rows = [
        _row(phase.name, phase.detail, begin, phase.duration_s, phase.bytes, axis_s, total_s, index == longest)
        for index, (phase, begin) in enumerate(zip(phases, begins, strict=True))
    ]
    missing_s = total_s - sum(phase.duration_s for phase in phases)
    if missing_s > max(0.05, 0.01 * total_s):
        began_s = min(covered_s, total_s - missing_s)
        rows.append(_row("in no phase", "not covered by a phase", began_s, missing_s, 0, axis_s, total_s, False))
    end = Tick(100.0, offset(axis_s), "end")
    ticks = [tick for tick in time_ticks(0.0, axis_s) if tick.position < _FREE and tick.label != end.label]
    return Waterfall(rows, [*ticks, end], total_s)


def _row(
    name: str, detail: str, begin_s: float, length_s: float, size: int, axis_s: float, total_s: float, longest: bool
) -> Row:
    width = max(_LEAST_BAR, 100 * length_s / axis_s)
    return Row(
        name=name,
        detail=detail,
        duration_s=length_s,
        share=length_s / total_s if total_s else 0.0,
        bytes=size,
        x=min(100 * begin_s / axis_s, 100 - width),
        width=width,
        longest=longest,
    )


def time_ticks(begin_s: float, end_s: float) -> list[Tick]:
    """Marks at round distances from the fault, few enough for a phone."""
    length_s = end_s - begin_s
    step_s = next((step for step in _TICKS_S if length_s / step <= _MOST_TICKS), length_s / _MOST_TICKS)
    numbers = range(math.ceil(begin_s / step_s), math.floor(end_s / step_s + 1e-9) + 1)
    ticks = [(100 * (number * step_s - begin_s) / length_s, offset(number * step_s)) for number in numbers]
    return [Tick(position, label, _anchor(position)) for position, label in ticks]


def _anchor(position: float) -> str:
    if position < 8:
        return "start"
    return "end" if position > 92 else "middle"
