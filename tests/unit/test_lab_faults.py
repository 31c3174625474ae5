"""Faults resolved against a lab that has just come up, before anything is touched."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from ftchaos.errors import Invalid
from ftchaos.platforms.lab import faults
from ftchaos.platforms.lab.layout import Layout
from ftchaos.platforms.lab.standing import Standing, fresh
from ftchaos.witness import Target

FRESH = fresh(Layout.of("root", ""))

ALL: list[tuple[str, dict[str, Any]]] = [
    *(("fail_zone", {"manner": manner}) for manner in ("outage", "partition", "partition-in", "partition-out")),
    *(("fail_mysql_primary", {"manner": manner}) for manner in ("kill", "lag", "partition", "polite")),
    *(("fail_mysql_replica", {"manner": manner}) for manner in ("kill", "lag")),
    *(("fail_redis_masters", {"manner": manner}) for manner in ("kill", "lag", "partition")),
    ("fail_redis_masters", {"which": "every-second", "manner": "lag"}),
    ("fail_redis_masters", {"which": "redis-cluster-c1"}),
    *(("fail_queue_master", {"manner": manner}) for manner in ("kill", "lag", "partition")),
]


@pytest.mark.parametrize(("name", "arguments"), ALL)
def test_fault_is_planned_whole(name: str, arguments: dict[str, Any]) -> None:
    harm = faults.find(name).plan(FRESH, **arguments)

    assert harm.targets
    assert harm.signs
    assert json.loads(json.dumps(dict(harm.undo))) == harm.undo
    for sign, watched in harm.signs.items():
        Target(sign, **watched).question()
    for target in harm.targets:
        assert target.of == 3 or target.kind == "redis-cluster"


def test_the_hardest_zone_is_the_primarys() -> None:
    harm = faults.find("fail_zone").plan(dataclasses.replace(FRESH, primary="mysql-b"))

    assert "zone-b lost its power" == harm.clause


def test_a_zone_with_two_masters_is_the_quorum_of_the_cluster() -> None:
    moved = dataclasses.replace(FRESH, masters={**FRESH.masters, "a": "redis-cluster-b2"})

    assert "" == faults.find("fail_zone").plan(FRESH, zone="zone-b").quorum_lost
    assert "the Redis Cluster" == faults.find("fail_zone").plan(moved, zone="zone-b").quorum_lost


def test_one_master_is_that_of_shard_a_wherever_it_stands() -> None:
    moved = dataclasses.replace(
        FRESH, masters={"b": "redis-cluster-b1", "c": "redis-cluster-c1", "a": "redis-cluster-b2"}
    )

    harm = faults.find("fail_redis_masters").plan(moved)

    assert ["redis-cluster-b2"] == [target.name for target in harm.targets]
    assert "cache-a" in harm.hits
    assert "cache-b" not in harm.hits


def test_every_second_master_is_two_of_three_and_no_shard_is_spared() -> None:
    harm = faults.find("fail_redis_masters").plan(FRESH, which="every-second")

    assert ["redis-cluster-a1", "redis-cluster-c1"] == [target.name for target in harm.targets]
    assert "the Redis Cluster" == harm.quorum_lost
    assert {"cache-a", "cache-b", "cache-c"} <= set(harm.hits)


@pytest.mark.parametrize(("name", "arguments"), [one for one in ALL if {"lag", "partition"} & set(one[1].values())])
def test_nothing_is_cut_on_loopback_addresses(name: str, arguments: dict[str, Any]) -> None:
    here: Standing = fresh(Layout.of("loopback", "x"))
    if name == "fail_mysql_replica":
        assert faults.find(name).plan(here, **arguments).signs  # stops applying by SQL
        return

    with pytest.raises(Invalid, match="loopback"):
        faults.find(name).plan(here, **arguments)
