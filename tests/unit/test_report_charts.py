"""Charts show every second of the recovery and every operation, and nothing that is not in the evidence."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
import sample_experiments
import samples

from ftchaos.evidence import Evidence, Phase, Recovery, Series
from ftchaos.report import charts, outage


def _with_phases(recovery_time_s: float | None, *phases: tuple[str, float, float]) -> Evidence:
    evidence = samples.passed()
    evidence.recovery = Recovery(
        fault_at=samples.at(0), recovery_time_s=recovery_time_s,
        phases=[Phase(name=name, began_at=samples.at(begin), duration_s=length) for name, begin, length in phases],
    )  # fmt: skip
    return evidence


def test_phases_fill_the_axis_one_after_the_other() -> None:
    fall = charts.waterfall(samples.passed())

    assert fall is not None
    assert fall.rows[0].x == 0
    assert fall.rows[-1].x + fall.rows[-1].width == pytest.approx(100, abs=0.1)
    assert all(later.x >= earlier.x for earlier, later in pairwise(fall.rows))
    assert sum(row.share for row in fall.rows) == pytest.approx(1, abs=0.001)
    assert [row.name for row in fall.rows if row.longest] == ["replay"]


def test_time_that_no_phase_covers_is_shown_as_such() -> None:
    fall = charts.waterfall(_with_phases(10.0, ("detect", 0, 2), ("restore", 2, 5)))

    assert fall is not None
    assert [(row.name, row.duration_s) for row in fall.rows][-1] == ("in no phase", 3.0)


def test_a_phase_too_short_to_see_is_still_drawn_inside_the_axis() -> None:
    fall = charts.waterfall(_with_phases(100.0, ("long", 0, 99.9999), ("short", 99.9999, 0.0001)))

    assert fall is not None
    assert fall.rows[1].width > 0
    assert fall.rows[1].x + fall.rows[1].width <= 100


def test_phases_of_no_length_are_drawn_without_a_division_by_zero() -> None:
    assert charts.waterfall(_with_phases(0.0, ("detect", 0, 0))) is not None
    assert charts.waterfall(_with_phases(None, ("detect", 0, 0))) is not None


def test_the_end_of_the_axis_is_said_once_and_nothing_stands_where_its_label_does() -> None:
    for recovery_time_s in (0.21, 0.24, 3.4, 205.0):
        fall = charts.waterfall(_with_phases(recovery_time_s, ("lose", 0, recovery_time_s)))

        assert fall is not None
        labels = [tick.label for tick in fall.ticks]
        assert sorted(set(labels), key=labels.index) == labels
        assert all(tick.position < 75 for tick in fall.ticks[:-1])


def test_without_phases_there_is_no_waterfall() -> None:
    assert charts.waterfall(_with_phases(3.0)) is None


@pytest.mark.parametrize(("begin_s", "end_s"), [(0, 0.3), (0, 14.2), (-18, 20), (-60, 15000), (-1e6, 1e7)])
def test_an_axis_has_few_ticks_and_all_of_them_inside(begin_s: float, end_s: float) -> None:
    ticks = charts.time_ticks(begin_s, end_s)

    assert 1 <= len(ticks) <= 7
    assert all(-0.01 <= tick.position <= 100.01 for tick in ticks)


def test_the_labels_of_the_markers_have_a_lane_each_and_none_is_crossed_by_a_line() -> None:
    chart = outage.outages(samples.passed(), 1)[0]

    assert [marker.name for marker in chart.markers] == ["restored", "detected", "proven", "fault"]
    assert len({marker.y for marker in chart.markers}) == 4
    # A line goes down from its own lane, so only lines of higher lanes pass a label; those stand right of it.
    for higher, lower in pairwise(chart.markers):
        assert higher.x >= lower.x
        assert lower.anchor == "end"


def test_labels_stand_right_of_their_lines_where_there_is_room_and_none_is_crossed() -> None:
    chart = outage.outages(sample_experiments.zone_outage(), 1)[0]

    assert [marker.name for marker in chart.markers] == ["fault", "proven", "detected", "restored"]
    for higher, lower in pairwise(chart.markers):
        assert higher.x <= lower.x
        assert lower.anchor == "start"


def test_the_areas_of_both_outcomes_share_one_scale() -> None:
    evidence = samples.passed()
    evidence.series = [Series(name="x", from_s=-1, step_s=1, succeeded=[30, 0], failed=[0, 10], p95_ms=[5.0, None])]

    chart = outage.outages(evidence, 1)[0]

    heights = [[float(number) for number in re.findall(r"V([\d.]+)", path)]
               for path in (chart.rates.succeeded, chart.rates.failed)]  # fmt: skip
    up = chart.rates.baseline_px - min(heights[0])
    down = max(heights[1]) - chart.rates.baseline_px
    assert up / down == pytest.approx(3, rel=0.01)
    assert up + down == pytest.approx(chart.rates_px, abs=0.2)


@pytest.mark.parametrize(
    "p95_ms", [[None, None, None], [0.0, 0.0, 0.0], [1e9, 0.001, None], [500.0, 500.0, 500.0], [None, 3.0, None]]
)
def test_any_latencies_stay_inside_the_chart(p95_ms: list[float | None]) -> None:
    evidence = samples.passed()
    evidence.series = [
        Series(name="x", from_s=0, step_s=1, succeeded=[0, 0, 0], failed=[0, 0, 0], p95_ms=p95_ms)
    ]  # fmt: skip

    chart = outage.outages(evidence, 1)[0]

    drawn = [float(number) for number in re.findall(r"(?:M\d+ |V)([\d.-]+)", chart.latency.line)]
    assert all(0 <= number <= chart.latency_px for number in [*drawn, chart.latency.objective_px])


def test_a_gap_in_the_latencies_is_a_gap_in_the_line() -> None:
    evidence = samples.passed()
    evidence.series = [Series(name="x", from_s=0, step_s=1, succeeded=[1, 0, 1], failed=[0] * 3, p95_ms=[5, None, 5])]

    assert outage.outages(evidence, 1)[0].latency.line.count("M") == 2


def test_the_chart_is_told_in_words_too() -> None:
    text = outage.outages(samples.passed(), 1)[0].description

    assert "uploads over HTTP succeeded" in text
    assert "restored at +14.2 s" in text


@pytest.mark.parametrize(
    ("milliseconds", "words"), [(6.4, "6.4 ms"), (500, "500 ms"), (2000, "2 s"), (0.04, "0.04 ms")]
)
def test_latencies_read_as_people_say_them(milliseconds: float, words: str) -> None:
    assert outage.milliseconds_words(milliseconds) == words
