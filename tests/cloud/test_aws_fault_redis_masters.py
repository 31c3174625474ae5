"""Primaries of ElastiCache fail, with real Redis servers behind them: seen from outside, and whole again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_account import ALLOWED, ZONES, build, heal, inject, led_to, look, proves_nothing, state, watching
from standin import staging
from standin.processes import until
from standin.server import Standin

from ftchaos.clock import now
from ftchaos.errors import Refused
from ftchaos.platforms.aws import faults
from ftchaos.platforms.aws.inventory import Inventory
from ftchaos.platforms.base import Harm

FAULT = "fail_redis_masters"


@pytest.fixture(scope="module")
def made(standin: Standin) -> Iterator[Standin]:
    with led_to(standin):
        built = build(standin)
        caches = standin.client("elasticache")
        caches.create_cache_subnet_group(
            CacheSubnetGroupName="staging", CacheSubnetGroupDescription="staging",
            SubnetIds=list(built.subnets.values()),
        )  # fmt: skip
        caches.create_replication_group(
            ReplicationGroupId=staging.GROUP, ReplicationGroupDescription="staging", Engine="redis",
            CacheNodeType="cache.t3.micro", NumNodeGroups=3, ReplicasPerNodeGroup=1, AutomaticFailoverEnabled=True,
            MultiAZEnabled=True, CacheSubnetGroupName="staging", Tags=ALLOWED,
        )  # fmt: skip
        _available(standin)
        yield standin


@pytest.fixture
def before(made: Standin) -> dict[str, Any]:
    """How the account stands; each test leaves it so, but for who leads."""
    _available(made)
    made.clear()
    return state(made)


def _available(standin: Standin) -> None:
    def well() -> bool:
        groups = standin.client("elasticache").describe_replication_groups()["ReplicationGroups"]
        return all(one["Status"] == "available" for one in groups)

    until(well, 30, "the replication group is available")


def _look(standin: Standin) -> Inventory:
    return look(standin, redis=staging.GROUP)


def _plan(standin: Standin, **arguments: Any) -> Harm:
    return faults.find(FAULT).plan(_look(standin), **arguments)


def test_without_injection_nothing_is_seen(made: Standin, before: dict[str, Any], tmp_path: Path) -> None:
    harm = _plan(made)

    assert proves_nothing(tmp_path, harm)
    assert f"{staging.GROUP} is available" == heal(made, FAULT, harm)
    assert before == state(made)


def test_one_primary_fails_is_seen_failing_and_is_replaced(
    made: Standin, before: dict[str, Any], tmp_path: Path
) -> None:
    harm = _plan(made)
    with watching(tmp_path, harm) as witness:
        fault_at = now()
        inject(made, FAULT, harm)
        witness.wait_proven(fault_at)
        heal(made, FAULT, harm)
        witness.wait(witness.all_up, 20)
    _available(made)
    first, *others = _look(made).cache()

    assert [first.replicas[0].name] == list(harm.signs)
    assert {"0001"} == {call["params"]["NodeGroupId"] for call in made.calls("TestFailover")}
    assert 2 == len(others)
    assert before == state(made)
    assert [] == made.violations()


def test_every_second_primary_waits_for_the_one_before(made: Standin, before: dict[str, Any]) -> None:
    led = {one.shard: one.primary.name for one in _look(made).cache()}
    harm = _plan(made, which="every-second")
    inject(made, FAULT, harm)
    heal(made, FAULT, harm)
    _available(made)
    now_led = {one.shard: one.primary.name for one in _look(made).cache()}

    assert ["0001", "0003"] == [shard for shard in led if led[shard] != now_led[shard]]
    assert [200, 200] == [call["status"] for call in made.calls("TestFailover")]
    assert before == state(made)


def test_a_zone_takes_its_primaries_and_the_network_of_its_nodes(
    made: Standin, before: dict[str, Any], tmp_path: Path
) -> None:
    inventory = _look(made)
    led = [one for one in inventory.cache() if one.primary.zone == ZONES[1]]
    harm = faults.find("fail_zone").plan(inventory, zone=ZONES[1])
    there = {node.name for one in inventory.cache() for node in one.copies if node.zone == ZONES[1]}
    signs = {name: sign for name, sign in harm.signs.items() if name in there}
    with watching(tmp_path, Harm(harm.clause, harm.targets, signs, harm.undo, harm.hits)) as witness:
        fault_at = now()
        inject(made, "fail_zone", harm)
        witness.wait_proven(fault_at)
        heal(made, "fail_zone", harm)
        witness.wait(witness.all_up, 20)
    _available(made)

    assert there == set(signs)
    assert there == {target.name for target in harm.targets if target.kind == "redis-cluster"}
    assert {one.shard for one in led} == {call["params"]["NodeGroupId"] for call in made.calls("TestFailover")}
    assert before == state(made)


def test_the_days_quota_is_counted_from_the_services_events(made: Standin, before: dict[str, Any]) -> None:
    inventory = _look(made)
    tested = inventory.tested
    inject(made, FAULT, _plan(made))
    _available(made)

    assert tested + 1 == _look(made).tested
    with pytest.raises(Refused, match="of its 15 in 24 hours"):
        faults.find(FAULT).plan(Inventory(inventory.place, inventory.tag, shards=inventory.shards, tested=15))
