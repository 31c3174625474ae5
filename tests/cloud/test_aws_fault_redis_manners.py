"""Primaries of ElastiCache without cluster mode lose their lead or reboot, with real Redis servers behind them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from fault_account import (
    ALLOWED,
    build,
    die_after_each_call,
    heal,
    inject,
    led_to,
    look,
    proves_nothing,
    state,
    watching,
)
from standin.processes import until
from standin.server import Standin

from ftchaos.clock import now
from ftchaos.platforms.aws import faults
from ftchaos.platforms.aws.inventory import Shard
from ftchaos.platforms.base import Harm

FAULT = "fail_redis_masters"
GROUP = "ft-single"


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
            ReplicationGroupId=GROUP, ReplicationGroupDescription="staging", Engine="redis",
            CacheNodeType="cache.t3.micro", NumCacheClusters=2, AutomaticFailoverEnabled=True, MultiAZEnabled=True,
            CacheSubnetGroupName="staging", Tags=ALLOWED,
        )  # fmt: skip
        _available(standin)
        yield standin


@pytest.fixture
def before(made: Standin) -> dict[str, Any]:
    """How the account stands; each test leaves it so, but for who leads."""
    made.settings(modifying_s=0.3, rebooting_s=0.3)
    _available(made)
    made.clear()
    return state(made)


def _available(standin: Standin) -> None:
    caches = standin.client("elasticache")

    def well() -> bool:
        found = [one["Status"] for one in caches.describe_replication_groups()["ReplicationGroups"]]
        found += [one["CacheClusterStatus"] for one in caches.describe_cache_clusters()["CacheClusters"]]
        return set(found) == {"available"}

    until(well, 30, "the replication group is available")


def _shard(standin: Standin) -> Shard:
    (shard,) = look(standin, redis=GROUP).cache()
    return shard


def _plan(standin: Standin, manner: str) -> Harm:
    return faults.find(FAULT).plan(look(standin, redis=GROUP), manner=manner)


def _ask(standin: Standin, *command: str) -> Any:
    """What the node that leads now answers."""
    leader = _shard(standin).primary
    with redis.Redis(leader.host, leader.port, socket_timeout=5, decode_responses=True) as client:
        return client.execute_command(*command)


def test_without_injection_nothing_is_seen(made: Standin, before: dict[str, Any], tmp_path: Path) -> None:
    moved, rebooted = (_plan(made, manner) for manner in ("move", "reboot"))
    signs = {**moved.signs, **rebooted.signs}

    assert 2 == len(signs)
    assert proves_nothing(tmp_path, Harm("", moved.targets, signs, {}, moved.hits))
    assert {f"{GROUP} is available", f"{GROUP}-001 of {GROUP} is available"} == {
        heal(made, FAULT, moved),
        heal(made, FAULT, rebooted),
    }
    assert before == state(made)


def test_the_lead_moves_to_the_replica_with_all_data_and_failover_comes_back(
    made: Standin, before: dict[str, Any], tmp_path: Path
) -> None:
    shard = _shard(made)
    _ask(made, "SET", "kept", "value")
    _ask(made, "WAIT", "1", "5000")
    harm = _plan(made, "move")
    with watching(tmp_path, harm) as witness:
        fault_at = now()
        inject(made, FAULT, harm)
        witness.wait_proven(fault_at)
    _available(made)
    during = made.client("elasticache").describe_replication_groups()["ReplicationGroups"][0]
    said = heal(made, FAULT, harm)

    assert [f"{shard.primary.name} leads"] == list(harm.signs)
    assert (shard.replicas[0].name, shard.primary.name) == (_shard(made).primary.name, _shard(made).replicas[0].name)
    assert "value" == _ask(made, "GET", "kept")
    assert ("disabled", "disabled") == (during["AutomaticFailover"], during["MultiAZ"])
    assert f"{GROUP} is available, and fails over by itself again" == said
    assert f"{GROUP} is available" == heal(made, FAULT, harm)
    assert before == state(made)
    assert [] == made.violations()


def test_a_reboot_is_seen_leaves_the_lead_and_empties_the_cache(
    made: Standin, before: dict[str, Any], tmp_path: Path
) -> None:
    shard = _shard(made)
    _ask(made, "SET", "lost", "value")
    harm = _plan(made, "reboot")
    with watching(tmp_path, harm) as witness:
        fault_at = now()
        inject(made, FAULT, harm)
        witness.wait_proven(fault_at)
        heal(made, FAULT, harm)
        witness.wait(witness.all_up, 20)

    assert "which empties the cache" in harm.clause
    assert shard.primary.name == _shard(made).primary.name
    assert _ask(made, "GET", "lost") is None
    assert before == state(made)
    assert [] == made.violations()


@pytest.mark.parametrize(("manner", "least"), [("move", 3), ("reboot", 1)])
def test_whoever_dies_after_any_call_is_made_up_for(
    made: Standin, before: dict[str, Any], impatient: None, manner: str, least: int
) -> None:
    made.settings(modifying_s=0, rebooting_s=0)

    def whole() -> None:
        assert before == state(made)

    injected, healed = die_after_each_call(made, FAULT, lambda: _plan(made, manner), whole)

    assert injected >= least
    assert healed >= least
