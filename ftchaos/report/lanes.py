"""The geometry of all components on one time axis. Pure: evidence in, percentages, pixels and SVG paths out.

Each component has a lane: a band from its first failure until it met its objectives again, hatched as long as it was
down, a sign for each instant, and below it what its sampler did, succeeded upwards and failed downwards. The signs
differ in shape, stand beside their words under the lane, and have a level of their own where two would collide.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ftchaos.evidence import Component, Evidence, Workload
from ftchaos.evidence.sentence import kept, moment, unwell_s
from ftchaos.report.charts import Tick, time_ticks
from ftchaos.report.outage import Span, area
from ftchaos.report.wording import Milestone, duration, milestones, offset
from ftchaos.units import human_duration

LEVEL_PX = 13
_BAND_PX = 10
_RATES_PX = 26
_APART = 4.0  # percent of the axis: on a phone the width of a sign
_EDGE_S = 1.0
_SAID = ("detected", "promoted")  # what a component says of itself and has a shape of its own


@dataclass(frozen=True)
class Sign:
    """An instant in a lane: its shape, its words, and where it stands."""

    shape: str
    name: str
    offset_s: float
    detail: str
    x: float
    y: int = 0

    @property
    def label(self) -> str:
        return f"{self.name} {offset(self.offset_s)}"


@dataclass(frozen=True)
class Rates:
    """What the sampler did, in a box as wide as it has buckets that covers part of the axis."""

    x: float
    width: float
    buckets: int
    succeeded: str
    failed: str
    baseline_px: float
    highest: str


@dataclass(frozen=True)
class Lane:
    """One component; ``outcome`` says in words what became of it, and ``met`` whether that is good."""

    component: Component
    outcome: str
    met: bool | None
    down: Span | None
    harmed: Span | None
    signs: list[Sign]
    rates: Rates | None
    levels: int
    rates_px: int = _RATES_PX

    @property
    def band_px(self) -> int:
        return LEVEL_PX * self.levels + 3

    @property
    def band_height_px(self) -> int:
        return _BAND_PX

    @property
    def rates_top_px(self) -> int:
        return self.band_px + _BAND_PX + 4

    @property
    def height_px(self) -> int:
        return self.rates_top_px + (self.rates_px if self.rates else 0)


@dataclass(frozen=True)
class Timeline:
    """All lanes: those that were hit, the control group, and the axis that they share."""

    hit: list[Lane]
    control: list[Lane]
    ticks: list[Tick]
    fault_x: float
    milestones: list[Milestone]
    length_s: float

    @property
    def lanes(self) -> list[Lane]:
        return [*self.hit, *self.control]


@dataclass(frozen=True)
class _Axis:
    begin_s: float
    end_s: float

    def at(self, seconds: float) -> float:
        return min(100.0, max(0.0, 100 * (seconds - self.begin_s) / (self.end_s - self.begin_s)))

    def span(self, from_s: float, to_s: float) -> Span:
        begin, end = self.at(from_s), self.at(max(from_s, to_s))
        width = max(0.4, end - begin)
        return Span(min(begin, 100 - width), width)


def timeline(evidence: Evidence) -> Timeline | None:
    """The components on one axis; None where none was sampled or there was no fault."""
    if not evidence.components or evidence.recovery.fault_at is None:
        return None
    axis = _axis(evidence)
    lanes = [_lane(one, evidence, axis) for one in evidence.components]
    return Timeline(
        hit=[lane for lane in lanes if lane.component.hit],
        control=[lane for lane in lanes if not lane.component.hit],
        ticks=time_ticks(axis.begin_s, axis.end_s),
        fault_x=axis.at(0.0),
        milestones=[mark for mark in milestones(evidence) if mark.name == "proven"],
        length_s=axis.end_s - axis.begin_s,
    )


def since_fault(evidence: Evidence, instant: str | None) -> float | None:
    """How long after the fault an instant was, in seconds; None where either is not known."""
    if instant is None or evidence.recovery.fault_at is None:
        return None
    return (moment(instant) - moment(evidence.recovery.fault_at)).total_seconds()


def disturbed(component: Component, evidence: Evidence) -> bool:
    """Whether a component failed anything, or was too slow, or had nothing to do as what feeds it was down."""
    return component.failed_at is not None or unwell_s(component, evidence) is not None


def _came_back(component: Component, evidence: Evidence) -> bool:
    """Whether there was anything to come back from; where it never did, too."""
    return disturbed(component, evidence) and not kept(component, evidence)


def outcome(component: Component, evidence: Evidence) -> tuple[str, bool | None]:
    """What became of a component in few words, and whether that is good."""
    if component.success_ratio is None:
        return "not sampled", None
    slow = unwell_s(component, evidence)
    if component.failed_at is None and component.restored_at is None:
        when = "" if slow is None else f" in the {human_duration(slow)} watched"
        return f"no operation failed, but not well again{when}", False
    if component.failed_at is None:
        again = "" if slow is None else f", well again after {human_duration(slow)}"
        return f"no operation failed{again}", True
    if component.restored_at is None:
        watched = evidence.recovery.watched_s
        return f"not restored{'' if watched is None else f' in {human_duration(watched)}'}", False
    if kept(component, evidence):
        return "some failed, within its objectives", True if component.hit else None
    took = "" if component.recovery_time_s is None else f" after {human_duration(component.recovery_time_s)}"
    if not component.hit:
        return f"disturbed all the same, restored{took}", None
    return f"restored{took}", True


def _axis(evidence: Evidence) -> _Axis:
    """From shortly before the fault until all was well; long enough for every instant."""
    known = [0.0]
    begins = []
    for one in evidence.components:
        instants = [one.failed_at, one.writable_at, one.durable_at, one.restored_at, *(mark.at for mark in one.marks)]
        known += [seconds for instant in instants if (seconds := since_fault(evidence, instant)) is not None]
        if one.series is not None:
            begins.append(one.series.from_s)
            known.append(one.series.from_s + one.series.step_s * len(one.series.succeeded))
    end_s = max(known)
    return _Axis(min([*begins, min(known), -0.02 * end_s]), end_s if end_s > 0 else _EDGE_S)


def _lane(component: Component, evidence: Evidence, axis: _Axis) -> Lane:
    failed_s = since_fault(evidence, component.failed_at)
    writable_s = since_fault(evidence, component.writable_at)
    restored_s = since_fault(evidence, component.restored_at)
    down = harmed = None
    if failed_s is not None:
        down = axis.span(failed_s, axis.end_s if writable_s is None else writable_s)
        harmed = axis.span(failed_s, axis.end_s if restored_s is None else restored_s)
    elif unwell_s(component, evidence) is not None:
        harmed = axis.span(0.0, axis.end_s if restored_s is None else restored_s)
    signs, levels = _levelled(_signs(component, evidence, axis))
    words, met = outcome(component, evidence)
    return Lane(component, words, met, down, harmed, signs, _rates(component, axis), levels)


def _signs(component: Component, evidence: Evidence, axis: _Axis) -> list[Sign]:
    """The instants of a component in their order. One that never failed has only its own word."""
    sustained = component.restored_at if _came_back(component, evidence) else None
    found = [(mark.name if mark.name in _SAID else "said", mark.name, mark.at, mark.detail) for mark in component.marks]
    found += [
        (shape, name, instant, "")
        for shape, name, instant in (
            ("failed", "first failure", component.failed_at),
            ("writable", "writable again", component.writable_at),
            ("durable", "durable again", component.durable_at),
            ("sustained", "SLO sustained", sustained),
        )
        if instant is not None
    ]
    signs = []
    for shape, name, instant, detail in found:
        seconds = since_fault(evidence, instant)
        assert seconds is not None  # there is a fault, or there is no timeline
        signs.append(Sign(shape, name, seconds, detail, axis.at(seconds)))
    return sorted(signs, key=lambda sign: sign.offset_s)


def _levelled(signs: Iterable[Sign]) -> tuple[list[Sign], int]:
    """Each sign on the lowest level where it touches no other; how many levels that takes."""
    ends: list[float] = []
    placed = []
    for sign in signs:
        level = next((number for number, end in enumerate(ends) if sign.x - end >= _APART), len(ends))
        ends[level : level + 1] = [sign.x]
        placed.append((sign, level))
    levels = max(1, len(ends))
    return [replace(sign, y=LEVEL_PX * (levels - 1 - level) + LEVEL_PX // 2) for sign, level in placed], levels


def _rates(component: Component, axis: _Axis) -> Rates | None:
    series = component.series
    if series is None or not series.succeeded:
        return None
    most, worst = max(series.succeeded), max(series.failed)
    pixels = _RATES_PX / max(1, most + worst)
    begin = axis.at(series.from_s)
    return Rates(
        x=begin,
        width=axis.at(series.from_s + series.step_s * len(series.succeeded)) - begin,
        buckets=len(series.succeeded),
        succeeded=area(series.succeeded, most * pixels, -pixels),
        failed=area(series.failed, most * pixels, pixels),
        baseline_px=round(most * pixels, 1),
        highest=f"up to {most / series.step_s:,.0f}/s",
    )


def table_words(component: Component, evidence: Evidence) -> dict[str, str]:
    """The numbers of a lane in words, for a table; empty where there is nothing to say, as of what never failed."""
    instants = {
        "First failure": component.failed_at,
        "Writable": component.writable_at,
        "Durable": component.durable_at,
        "SLO sustained": component.restored_at if _came_back(component, evidence) else None,
    }
    found = {}
    for name, instant in instants.items():
        seconds = since_fault(evidence, instant)
        found[name] = "" if seconds is None else offset(seconds)
    if component.failed_at is not None:
        found["Writable"] = found["Writable"] or "never"
    if _came_back(component, evidence):
        found["SLO sustained"] = found["SLO sustained"] or "never"
    return {**found, "Unavailable": duration(component.unavailable_s)}


def said_words(component: Component | Workload, evidence: Evidence) -> str:
    """What a component said of itself, or the platform of a workload, in one line."""
    parts = []
    for mark in component.marks:
        seconds = since_fault(evidence, mark.at)
        when = "" if seconds is None else f" {offset(seconds)}"
        parts.append(f"{mark.name}{when}{f' ({mark.detail})' if mark.detail else ''}")
    return ", ".join(parts)
