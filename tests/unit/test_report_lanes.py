"""The lanes have every component on one axis, each instant where it belongs, and no sign over another."""

from __future__ import annotations

from itertools import pairwise

import pytest
import sample_experiments
import samples

from ftchaos.evidence import Component, Evidence, Mark
from ftchaos.report import lanes, wording


def _only(*components: Component) -> Evidence:
    evidence = sample_experiments.zone_outage()
    evidence.components = list(components)
    return evidence


def _timeline(evidence: Evidence) -> lanes.Timeline:
    found = lanes.timeline(evidence)
    assert found is not None
    return found


def test_those_that_were_hit_and_the_control_group_stand_apart() -> None:
    found = _timeline(sample_experiments.zone_outage())

    assert [lane.component.name for lane in found.hit] == [
        "database", "cache-a", "cache-b", "api", "queue", "websocket",
    ]  # fmt: skip
    assert [(lane.component.name, lane.outcome) for lane in found.control] == [("cache-c", "no operation failed")]


def test_all_lanes_share_one_axis() -> None:
    found = _timeline(sample_experiments.zone_outage())

    for lane in found.lanes:
        for sign in lane.signs:
            assert sign.x == pytest.approx(found.fault_x + 100 * sign.offset_s / found.length_s, abs=0.01)
    drawn = {(lane.rates.x, lane.rates.width) for lane in found.lanes if lane.rates}
    assert drawn == {(0.0, 100.0)}


def test_the_signs_of_a_lane_come_in_order_and_none_covers_another() -> None:
    for lane in _timeline(sample_experiments.zone_outage()).lanes:
        assert all(later.offset_s >= earlier.offset_s for earlier, later in pairwise(lane.signs))
        for level in {sign.y for sign in lane.signs}:
            places = [sign.x for sign in lane.signs if sign.y == level]
            assert all(later - earlier >= 4 for earlier, later in pairwise(places))


def test_a_component_is_down_until_it_is_writable_and_late_until_it_meets_its_objectives() -> None:
    lane = next(one for one in _timeline(sample_experiments.zone_outage()).hit if one.component.name == "cache-a")

    assert lane.down is not None
    assert lane.harmed is not None
    assert lane.down.x == lane.harmed.x
    assert lane.down.width < lane.harmed.width
    assert [sign.name for sign in lane.signs] == [
        "first failure", "promoted", "writable again", "durable again", "SLO sustained",
    ]  # fmt: skip


def test_a_component_that_never_came_back_is_down_to_the_end_of_the_axis() -> None:
    queue = next(one for one in _timeline(sample_experiments.zone_outage_failed()).hit if one.component.name == "queue")

    assert queue.down is not None
    assert queue.down.x + queue.down.width == pytest.approx(100)
    assert (queue.outcome, queue.met) == ("not restored in 60.4 s", False)


def test_a_component_that_never_failed_has_neither_band_nor_signs() -> None:
    lane = _timeline(sample_experiments.replica_loss()).hit[0]

    assert (lane.down, lane.harmed, lane.signs) == (None, None, [])
    assert (lane.outcome, lane.met) == ("no operation failed", True)


def test_a_component_that_failed_nothing_but_was_slow_is_late_and_not_down() -> None:
    evidence = sample_experiments.replica_loss()
    evidence.components[0].recovery_time_s, evidence.components[0].restored_at = 4.3, samples.at(4.3)
    lane = _timeline(evidence).hit[0]

    assert (lane.down, lane.outcome, lane.met) == (None, "no operation failed, well again after 4.3 s", True)
    assert lane.harmed is not None
    assert [sign.label for sign in lane.signs] == ["SLO sustained +4.3 s"]
    evidence.components[0].restored_at = evidence.components[0].recovery_time_s = None
    lane = _timeline(evidence).hit[0]
    assert (lane.outcome, lane.met) == ("no operation failed, but not well again in the 3.1 s watched", False)
    assert lanes.table_words(lane.component, evidence)["SLO sustained"] == "never"


def test_a_component_that_was_not_sampled_is_not_said_to_be_well() -> None:
    lane = _timeline(_only(Component(name="queue", hit=True))).hit[0]

    assert (lane.outcome, lane.met) == ("not sampled", None)


def test_a_control_that_failed_is_neither_well_nor_a_fault_of_the_system() -> None:
    evidence = sample_experiments.zone_outage()
    evidence.components[0].hit = False
    lane = next(one for one in _timeline(evidence).control if one.component.name == "database")

    assert (lane.outcome, lane.met) == ("disturbed all the same, restored after 1.4 s", None)


def test_an_axis_of_no_length_is_drawn_without_a_division_by_zero() -> None:
    found = _timeline(_only(Component(name="api", hit=True, failed_at=samples.at(0), success_ratio=0.0)))

    assert found.length_s > 0


def test_what_a_component_said_before_the_fault_stays_on_the_axis() -> None:
    early = Mark(name="detected", at=samples.at(-9))
    sign = _timeline(_only(Component(name="api", hit=True, success_ratio=1.0, marks=[early]))).hit[0].signs[0]

    assert sign.x == 0
    assert sign.label == "detected \N{MINUS SIGN}9 s"


def test_what_failed_within_its_objectives_while_harm_was_done_bit_by_bit_came_back_from_nothing() -> None:
    api = Component(
        name="api", hit=True, success_ratio=0.999, failed_at=samples.at(1), writable_at=samples.at(1.1),
        restored_at=samples.at(0.01), recovery_time_s=0.01,
    )  # fmt: skip
    run = _only(api)
    run.recovery.gradual, run.recovery.proven_at, run.recovery.restored_at = True, samples.at(9), samples.at(0.01)
    lane = _timeline(run).hit[0]

    assert (lane.outcome, lane.met) == ("some failed, within its objectives", True)
    assert ["first failure", "writable again"] == [sign.name for sign in lane.signs]
    assert "" == lanes.table_words(api, run)["SLO sustained"]
    assert ["fault", "restored", "proven"] == [one.name for one in wording.milestones(run) if one.name != "detected"]


def test_a_drill_or_a_run_without_a_fault_has_no_lanes() -> None:
    unharmed = sample_experiments.zone_outage()
    unharmed.recovery.fault_at = None

    assert lanes.timeline(samples.passed()) is None
    assert lanes.timeline(unharmed) is None


def test_the_table_says_never_only_of_what_failed() -> None:
    failed = sample_experiments.zone_outage_failed()
    words = {one.name: lanes.table_words(one, failed) for one in failed.components}

    assert (words["queue"]["Writable"], words["queue"]["SLO sustained"]) == ("never", "never")
    assert (words["cache-c"]["Writable"], words["cache-c"]["Unavailable"]) == ("", "0 s")
    assert words["cache-a"]["Durable"] == "+4.9 s"


def test_what_a_component_said_is_told_with_its_instant_and_its_server() -> None:
    run = sample_experiments.zone_outage()

    assert lanes.said_words(run.components[0], run) == "detected +0.6 s (mysql-a), promoted +1.0 s (mysql-b)"
