"""The geometry of the charts through the outage. Pure: evidence in, percentages, pixels and SVG paths out.

Above the baseline stand the operations that succeeded, below it those that failed, both on one scale:
the direction tells them apart without colour. Under them lies their 95th percentile latency, on a
logarithmic scale, as it goes from milliseconds to timeouts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ftchaos.evidence import Evidence, Series
from ftchaos.report.charts import Tick, time_ticks
from ftchaos.report.wording import Milestone, milestones, offset
from ftchaos.units import human_duration

_LANE_PX = 19
_RATES_PX = 130
_LATENCY_PX = 96
_GAP_PX = 30
_ROOM = 60.0  # percent; right of it a label of a hundred pixels does not fit on a phone


@dataclass(frozen=True)
class Marker:
    """A vertical line through the outage, with its label in a lane of its own, so that labels never collide."""

    name: str
    label: str
    x: float
    y: int
    anchor: str


@dataclass(frozen=True)
class Span:
    """A stretch of time that is shaded; percentages."""

    x: float
    width: float


@dataclass(frozen=True)
class Rates:
    """Operations in each bucket as two stepped areas in a box as wide as there are buckets."""

    succeeded: str
    failed: str
    baseline_px: float
    highest: str
    deepest: str


@dataclass(frozen=True)
class Latency:
    """The 95th percentile as a stepped line in a box as wide as there are buckets; y in pixels."""

    line: str
    ticks: list[Tick]
    objective_px: float
    objective: str


@dataclass(frozen=True)
class Outage:
    """One kind of client operation through the outage."""

    name: str
    description: str
    buckets: int
    rates: Rates
    latency: Latency
    markers: list[Marker]
    ticks: list[Tick]
    harmed: Span | None
    sustained: Span | None
    rates_px: int = _RATES_PX
    latency_px: int = _LATENCY_PX

    @property
    def rates_top_px(self) -> int:
        return _LANE_PX * len(self.markers) + 8

    @property
    def latency_top_px(self) -> int:
        return self.rates_top_px + self.rates_px + _GAP_PX

    @property
    def bottom_px(self) -> int:
        return self.latency_top_px + self.latency_px

    @property
    def height_px(self) -> int:
        return self.bottom_px + 22


def outages(evidence: Evidence, limit: int) -> list[Outage]:
    """A chart for each kind of client operation, at most so many."""
    return [_outage(series, evidence) for series in evidence.series if series.succeeded][:limit]


def _outage(series: Series, evidence: Evidence) -> Outage:
    begin_s = series.from_s
    end_s = begin_s + series.step_s * len(series.succeeded)
    marks = milestones(evidence)

    def position(seconds: float) -> float:
        return min(100.0, max(0.0, 100 * (seconds - begin_s) / (end_s - begin_s)))

    def span(from_s: float, to_s: float) -> Span:
        return Span(position(from_s), position(to_s) - position(from_s))

    restored_s = next((mark.offset_s for mark in marks if mark.name == "restored"), None)
    sustained = None if restored_s is None else span(restored_s, restored_s + evidence.objectives.sustain_s)
    return Outage(
        name=series.name,
        description=_description(series, marks),
        buckets=len(series.succeeded),
        rates=_rates(series),
        latency=_latency(series, evidence.objectives.p95_s * 1000),
        markers=_markers([(mark, position(mark.offset_s)) for mark in marks]),
        ticks=time_ticks(begin_s, end_s),
        harmed=span(0.0, end_s if restored_s is None else restored_s) if marks else None,
        sustained=sustained,
    )


def _markers(marks: Sequence[tuple[Milestone, float]]) -> list[Marker]:
    """A lane for each label, such that no line crosses one.

    Labels stand right of their lines where there is room, and then the earliest has the highest lane; else left of
    them, and then the latest has it.
    """
    right = bool(marks) and marks[-1][1] <= _ROOM
    found = []
    for lane, (mark, x) in enumerate(marks if right else reversed(marks)):
        label = mark.name if not mark.offset_s else f"{mark.name} {offset(mark.offset_s)}"
        found.append(Marker(mark.name, label, x, _LANE_PX * lane + 14, "start" if right or x < 32 else "end"))
    return found


def _rates(series: Series) -> Rates:
    most, worst = max(series.succeeded), max(series.failed)
    pixels = _RATES_PX / max(1, most + worst)
    baseline = most * pixels
    return Rates(
        succeeded=area(series.succeeded, baseline, -pixels),
        failed=area(series.failed, baseline, pixels),
        baseline_px=round(baseline, 1),
        highest=f"{most / series.step_s:,.0f}/s succeed",
        deepest=f"{worst / series.step_s:,.0f}/s fail" if worst else "",
    )


def area(counts: Sequence[int], baseline: float, pixels: float) -> str:
    """A stepped area between the baseline and the counts; equal neighbours share a step."""
    parts, height = [f"M0 {baseline:.1f}"], 0
    for index, number in enumerate(counts):
        if number != height:
            parts.append(f"H{index}V{baseline + number * pixels:.1f}")
            height = number
    return "".join((*parts, f"H{len(counts)}V{baseline:.1f}Z"))


def _latency(series: Series, objective_ms: float) -> Latency:
    measured = [value for value in (*series.p95_ms, objective_ms) if value]
    lowest = math.floor(math.log10(max(0.1, min(measured, default=1.0))))
    highest = max(lowest + 1, math.ceil(math.log10(max(measured, default=10.0)) + 0.02))

    def y(milliseconds: float) -> float:
        level = math.log10(max(milliseconds, 10.0**lowest))
        return round(_LATENCY_PX * (1 - (level - lowest) / (highest - lowest)), 1)

    parts, level = [], None
    for index, value in enumerate(series.p95_ms):
        now = None if value is None else y(value)
        if now is None:
            pass
        elif level is None:
            parts.append(f"M{index} {now}H{index + 1}")
        else:
            parts.append(f"H{index + 1}" if now == level else f"V{now}H{index + 1}")
        level = now
    decades = range(lowest, highest)
    return Latency(
        line="".join(parts),
        ticks=[Tick(y(10.0**power), milliseconds_words(10.0**power)) for power in decades],
        objective_px=y(objective_ms) if objective_ms else _LATENCY_PX,
        objective=f"P95 objective {milliseconds_words(objective_ms)}",
    )


def milliseconds_words(milliseconds: float) -> str:
    """A latency for people: ``6.4 ms``, ``500 ms``, ``2 s``."""
    if milliseconds >= 1000:
        return human_duration(milliseconds / 1000)
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.2g} ms"


def _description(series: Series, marks: Sequence[Milestone]) -> str:
    """The chart in words, for those who do not see it."""
    worst = max((value for value in series.p95_ms if value is not None), default=None)
    parts = [f"{sum(series.succeeded):,} {series.name} succeeded and {sum(series.failed):,} failed"]
    failing = [index for index, number in enumerate(series.failed) if number]
    if failing:
        first_s = series.from_s + failing[0] * series.step_s
        last_s = series.from_s + (failing[-1] + 1) * series.step_s
        parts.append(f"failures fall between {offset(first_s)} and {offset(last_s)} from the fault")
    if worst is not None:
        parts.append(f"the highest 95th percentile of the latency was {milliseconds_words(worst)}")
    parts.extend(f"{mark.name} at {offset(mark.offset_s)}" for mark in marks[1:])
    return "; ".join(parts) + "."
