"""Losses are told by store and by way, and the recovery point of the whole is that of the worst store."""

from __future__ import annotations

import sample_experiments
import samples

from ftchaos.report import losses


def test_each_store_is_followed_by_the_ways_into_it() -> None:
    assert [(row.store, row.way) for row in losses.stores(sample_experiments.zone_outage())] == [
        ("mysql", ""),
        ("mysql", "uploaded over HTTP"),
        ("mysql", "written directly"),
        ("redis", ""),
        ("redis", "not waiting for a replica"),
        ("redis", "waiting for a replica"),
    ]


def test_a_store_that_nobody_wrote_to_is_left_out() -> None:
    evidence = sample_experiments.zone_outage()
    evidence.data.stores["redis"] = {}

    assert "redis" not in {row.store for row in losses.stores(evidence) if not row.way}


def test_stores_that_lost_nothing_agree() -> None:
    evidence = sample_experiments.zone_outage()

    assert losses.worst_words(evidence) == "mysql and redis agree: no acknowledged write was lost in any store."
    assert not any(point.worst for point in losses.points(evidence))
    assert losses.words(evidence) == ["mysql: 0 of 11,912; redis: 0 of 11,000"]


def test_the_worst_store_is_named_with_how_far_its_loss_reaches() -> None:
    evidence = sample_experiments.zone_outage_failed()

    mysql, redis = losses.points(evidence)
    assert (mysql.lost, mysql.data_loss_s, mysql.worst) == (0, 0.0, False)
    assert (redis.lost, redis.data_loss_s, redis.worst) == (1_519, 0.94, True)
    assert losses.worst_words(evidence).startswith("The worst store is redis")
    assert losses.words(evidence) == [
        "mysql: 0 of 11,912",
        "redis, not waiting for a replica: 1,307 of 7,200",
        "redis, waiting for a replica: 212 of 3,800",
    ]


def test_how_far_a_loss_reaches_is_unknown_where_intervals_were_cut_off() -> None:
    evidence = sample_experiments.zone_outage_failed()
    evidence.data.lost_intervals_total = 900

    assert losses.points(evidence)[1].data_loss_s is None
    evidence.data.stores["redis"]["data_loss_s"] = 2.5
    assert losses.points(evidence)[1].data_loss_s == 2.5


def test_what_was_not_looked_for_is_unknown_and_not_zero() -> None:
    evidence = sample_experiments.zone_outage()
    evidence.data.stores["redis"]["lost"] = None

    assert losses.worst_words(evidence) == "What redis lost is unknown."
    assert "redis: unknown of 11,000" in losses.words(evidence)[0]


def test_a_run_without_stores_says_nothing_of_them() -> None:
    assert losses.worst_words(samples.inconclusive()) == ""
