"""The cache of a cluster from the words of its servers: which pods, which shards, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pydantic
import pytest

from ftchaos.cloud import ClusterRedis, Kubernetes
from ftchaos.errors import Refused
from ftchaos.platforms.kubernetes import asking, backends, cache
from ftchaos.platforms.kubernetes.asking import Node
from ftchaos.platforms.kubernetes.backends import Backend
from ftchaos.platforms.kubernetes.cache import Cache
from ftchaos.platforms.kubernetes.inventory import Pod
from ftchaos.platforms.kubernetes.place import Place
from ftchaos.platforms.kubernetes.ways import Ways

GIVEN = ClusterRedis(service="app/redis")
SLOTS = {"lead-0": ((10923, 16383),), "lead-1": ((0, 5460),), "lead-2": ((5461, 10922),)}


def pod(name: str, number: int, host: str = "") -> Pod:
    workload = f"StatefulSet/{name.partition('-')[0]}"
    address = f"10.0.0.{number}"
    return Pod("app", name, name, "node", True, False, workload, "", {}, address=address, host=host)


def find(monkeypatch: pytest.MonkeyPatch, said: Mapping[str, Node], every: list[Pod], behind: int) -> Cache:
    """From what each server would say, where the Service leads to the first of these pods."""
    mine = every[:behind]
    ready = [Backend("app", one.name, one.uid, one.node, 6379) for one in mine]
    monkeypatch.setattr(backends, "members", lambda *_: (mine, 6379))
    monkeypatch.setattr(backends, "ready", lambda *_: ready)
    monkeypatch.setattr(asking, "redis", lambda where, *_: {name: said[name] for name in where if name in said})
    access: Any = None
    return cache.find(access, GIVEN, None, every, Ways(Place("staging", "in-cluster", ("app",))))


def test_shards_go_by_their_slots_and_nodes_behind_other_services_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    leads = [pod(name, number, f"{name}.redis.app.svc") for number, name in enumerate(SLOTS)]
    follows, stranger = pod("follow-0", 7), pod("other-0", 8)
    others = frozenset({"10.0.0.7"})
    said = {f"app/{name}": Node("redis-master", True, slots, 1, others) for name, slots in SLOTS.items()}
    said |= {f"app/{one.name}": Node("redis-replica", True, (), 0) for one in (follows, stranger)}
    found = find(monkeypatch, said, [*leads, follows, stranger], behind=3)

    assert {"app/lead-1": "a", "app/lead-2": "b", "app/lead-0": "c"} == found.leads
    assert "redis-replica" == found.roles["app/follow-0"]
    assert "app/other-0" not in found.pods
    assert ["lead-0.redis.app.svc:6379", "10.0.0.7:6379"] == [str(found.nodes[number]) for number in (0, 3)]
    assert (True, True) == (found.follow, found.waits)


def test_one_master_is_written_to_through_its_service(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"app/lead-0": Node("redis-master", False, ((0, 16383),), 0)}
    found = find(monkeypatch, said, [pod("lead-0", 1)], behind=1)

    assert ["redis.app.svc:6379"] == [str(one) for one in found.nodes]
    assert (False, False, {"clustered": False, "reach_s": 0.0}) == (found.follow, found.waits, found.manner)


@pytest.mark.parametrize(
    ("slots", "words"),
    [
        ({"lead-1": ((0, 5459),)}, "nobody that answers leads 1, and several lead 0"),
        ({"lead-1": ((0, 5461),)}, "nobody that answers leads 0, and several lead 1"),
        ({"lead-1": ()}, "nobody that answers leads 5,461, and several lead 0"),
    ],
)
def test_redis_cluster_that_is_not_whole_is_refused(
    monkeypatch: pytest.MonkeyPatch, slots: dict[str, tuple[tuple[int, int], ...]], words: str
) -> None:
    every = [pod(name, number) for number, name in enumerate(SLOTS)]
    said = {f"app/{name}": Node("redis-master", True, led, 1) for name, led in {**SLOTS, **slots}.items() if led}
    with pytest.raises(Refused, match=words):
        find(monkeypatch, said, every, behind=3)


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        (["redis-master", "redis-master"], "app/lead-0, app/lead-1 all lead behind app/redis"),
        (["redis-master", "redis-replica"], "leads to app/lead-1 too"),
        (["redis-replica", "redis-replica"], "none of 2 servers of Redis behind app/redis says that it leads"),
        ([], "none of 2 servers of Redis behind app/redis answers and lets us in"),
    ],
)
def test_whoever_is_no_single_master_is_refused(monkeypatch: pytest.MonkeyPatch, roles: list[str], words: str) -> None:
    said = {f"app/lead-{number}": Node(role, False, ((0, 16383),), 0) for number, role in enumerate(roles)}
    with pytest.raises(Refused, match=words):
        find(monkeypatch, said, [pod("lead-0", 1), pod("lead-1", 2)], behind=2)


@pytest.mark.parametrize(
    ("redis", "words"),
    [
        ({"service": "other/redis"}, "other/redis of redis is in none of the namespaces"),
        ({"service": "app/redis", "secret": "other/cache"}, "other/cache of redis is in none of the namespaces"),
        ({"service": "app/redis", "ca": "ca.pem"}, "mean nothing without 'tls: true'"),
        ({"service": "redis"}, "String should match pattern"),
        ({"service": "app/redis", "password": "x"}, "Extra inputs are not permitted"),
    ],
)
def test_a_configuration_that_cannot_be_meant_is_told(redis: dict[str, Any], words: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=words):
        Kubernetes.model_validate({"context": "here", "namespaces": ["app"], "redis": redis})
