"""Faults of AWS resolved against an inventory, before anything is touched."""

from __future__ import annotations

import dataclasses
import itertools
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ftchaos import guard
from ftchaos.errors import HealFailed, Invalid, Refused
from ftchaos.platforms.aws import access, faults
from ftchaos.platforms.aws.access import Access
from ftchaos.platforms.aws.faults import balancing, capacity, shards
from ftchaos.platforms.aws.faults.mending import Mending
from ftchaos.platforms.aws.inventory import (
    OUTSIDE,
    Balancer,
    Copy,
    Database,
    Group,
    Instance,
    Inventory,
    Shard,
    Subnet,
)
from ftchaos.witness import Target

A, B, C = ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
SUBNETS = {zone: f"subnet-{zone[-1]}" for zone in ZONES}
BY_ZONE = {zone: [name] for zone, name in SUBNETS.items()}


def _shard(number: int, zone: str, other: str, **more: Any) -> Shard:
    primary, replica = (Copy(f"ft-{number:04}-00{which}", at, f"redis-{number}-{which}", 6379) for which, at in
                        ((1, zone), (2, other)))  # fmt: skip
    return Shard("ft", f"{number:04}", primary, (replica,), clustered=True, subnets=BY_ZONE, **more)


DATABASE = Database("db", "instance", Copy("db", A, "db.rds", 3306), (Copy("db standby", B),), BY_ZONE)
AURORA = Database(
    "au", "aurora", Copy("au-1", A, "au-1.rds", 3306),
    (Copy("au-2", A, "au-2.rds", 3306, 0), Copy("au-3", C, "au-3.rds", 3306, 1)), BY_ZONE,
)  # fmt: skip
STAGING = Inventory(
    place={"account": "111122223333", "region": "us-east-1"},
    tag="ftchaos=allowed",
    client_zone=OUTSIDE,
    instances=tuple(
        Instance(f"i-{zone[-1]}{number}", zone, SUBNETS[zone], "running", address=f"10.0.0.{number}", port=8080)
        for zone in ZONES
        for number in (1, 2)
    ),
    subnets=tuple(Subnet(name, zone, "vpc-1", f"acl-{zone[-1]}") for zone, name in SUBNETS.items()),
    groups=(Group("api", ZONES, tuple(SUBNETS.values()), {name: zone for zone, name in SUBNETS.items()}),),
    balancers=(
        Balancer("arn:lb", "public", "application", tuple({"SubnetId": f"subnet-public-{z[-1]}"} for z in ZONES),
                 {f"subnet-public-{zone[-1]}": zone for zone in ZONES}),
    ),
    databases=(DATABASE,),
    shards=(_shard(1, A, B), _shard(2, B, C), _shard(3, C, A)),
)  # fmt: skip

ALL: list[tuple[str, dict[str, Any]]] = [
    ("fail_zone", {}),
    ("fail_zone", {"zone": B}),
    ("fail_zone", {"manner": "partition"}),
    *(("fail_mysql_primary", {"manner": manner}) for manner in ("kill", "partition", "polite")),
    ("fail_redis_masters", {}),
    ("fail_redis_masters", {"which": "every-second"}),
    ("fail_redis_masters", {"which": "ft-0002-001"}),
]


def _changed(**more: Any) -> Inventory:
    return dataclasses.replace(STAGING, **more)


@pytest.mark.parametrize(("name", "arguments"), ALL)
def test_fault_is_planned_whole_and_within_the_usual_blast_radius(name: str, arguments: dict[str, Any]) -> None:
    harm = faults.find(name).plan(STAGING, **arguments)

    assert harm.signs
    assert json.loads(json.dumps(dict(harm.undo))) == harm.undo
    assert harm.undo["place"] == STAGING.place
    guard.ensure_within(None, harm.targets, quorum_lost=harm.quorum_lost)
    for sign, watched in harm.signs.items():
        Target(sign, **watched).question()


def test_a_zone_takes_what_is_in_it_and_nothing_else() -> None:
    harm = faults.find("fail_zone").plan(STAGING, zone=A)

    assert {A} == {target.zone for target in harm.targets}
    assert {"zone", "instance", "subnet", "auto-scaling-group", "load-balancer", "mysql", "redis-cluster"} == {
        target.kind for target in harm.targets
    }
    assert ["i-a1", "i-a2"] == harm.undo["power"]["stopped"]
    assert ["subnet-a"] == [one["subnet"] for one in harm.undo["network"]["subnets"]]
    assert ["ft-0001-001"] == [one["primary"] for one in harm.undo["shards"]]
    # The database, the failing primary, and what listens; the replica in that zone is hit, but leads nothing.
    assert {"db", "ft-0001-001", "ft-0003-002", "i-a1", "i-a2"} == set(harm.signs)


def test_the_hardest_zone_is_the_writers() -> None:
    moved = dataclasses.replace(DATABASE, writer=dataclasses.replace(DATABASE.writer, zone=C))

    assert C in faults.find("fail_zone").plan(_changed(databases=(moved,))).clause


def test_a_zone_without_the_tag_is_refused() -> None:
    with pytest.raises(Refused, match="carries the tag ftchaos=allowed"):
        faults.find("fail_zone").plan(STAGING, zone="us-east-1f")
    with pytest.raises(Refused, match="carries the tag"):
        faults.find("fail_zone").plan(Inventory(STAGING.place, STAGING.tag, OUTSIDE), zone=A)


def test_a_fault_that_nobody_could_see_is_refused() -> None:
    dark = _changed(instances=(Instance("i-a1", A, "", "running"),), subnets=(), databases=(), shards=())

    with pytest.raises(Refused, match="seen from outside"):
        faults.find("fail_zone").plan(dark, zone=A)


@pytest.mark.parametrize("name", ["fail_zone", "fail_mysql_primary"])
@pytest.mark.parametrize("client_zone", ["", A])
def test_the_clients_zone_never_fails(name: str, client_zone: str) -> None:
    with pytest.raises(Refused, match="clients of this run"):
        faults.find(name).plan(_changed(client_zone=client_zone))


def test_spot_instances_are_left_out_and_named() -> None:
    first, *others = STAGING.instances
    harm = faults.find("fail_zone").plan(
        _changed(instances=(dataclasses.replace(first, spared="a spot instance"), *others))
    )

    assert ["i-a2"] == harm.undo["power"]["stopped"]
    assert "i-a1 is left out: a spot instance" in harm.clause


def test_what_was_stopped_before_is_not_stopped() -> None:
    first, *others = STAGING.instances
    harm = faults.find("fail_zone").plan(_changed(instances=(dataclasses.replace(first, state="stopped"), *others)))

    assert ["i-a2"] == harm.undo["power"]["stopped"]


def test_a_database_in_one_zone_alone_is_refused() -> None:
    alone = _changed(databases=(dataclasses.replace(DATABASE, others=()),))

    with pytest.raises(Refused, match="in one zone alone"):
        faults.find("fail_mysql_primary").plan(alone, manner="polite")
    assert [] == faults.find("fail_zone").plan(alone).undo["databases"]


def test_a_database_that_is_not_well_is_refused() -> None:
    with pytest.raises(Refused, match="is modifying"):
        faults.find("fail_mysql_primary").plan(_changed(databases=(dataclasses.replace(DATABASE, status="modifying"),)))


def test_aurora_fails_over_to_a_named_reader_in_another_zone() -> None:
    harm = faults.find("fail_mysql_primary").plan(_changed(databases=(AURORA,)), manner="polite")

    assert "au-3" == harm.undo["move"]["to"]
    with pytest.raises(Refused, match="no reader of au is in another zone"):
        faults.find("fail_mysql_primary").plan(
            _changed(databases=(dataclasses.replace(AURORA, others=AURORA.others[:1]),)), manner="polite"
        )


def test_subnets_of_the_writer_without_the_tag_are_refused() -> None:
    with pytest.raises(Refused, match="without the tag ftchaos=allowed: subnet-a"):
        faults.find("fail_mysql_primary").plan(_changed(subnets=STAGING.subnets[1:]), manner="partition")


def test_what_stands_beside_the_writer_counts_as_hit() -> None:
    names = {target.name for target in faults.find("fail_mysql_primary").plan(STAGING).targets}

    assert {"db", "subnet-a", "i-a1", "i-a2"} == names


def test_the_quota_of_failover_tests_is_kept() -> None:
    plan = faults.find("fail_redis_masters").plan

    assert 2 == len(plan(_changed(tested=13), which="every-second").undo["shards"])
    with pytest.raises(Refused, match="2 shards would fail, and ElastiCache allows 1 more of its 15"):
        plan(_changed(tested=14), which="every-second")


class _Hourly:
    """ElastiCache at a time when an old event drops out of the hour that is asked about."""

    until = Access.until

    def __init__(self, *events: list[datetime]) -> None:
        self.events = iter(events)
        self.tested: list[str] = []

    def client(self, service: str, once: bool) -> Any:
        return SimpleNamespace(test_failover=lambda **asked: self.tested.append(asked["NodeGroupId"]))

    def pages(self, service: str, operation: str, key: str, **_: Any) -> list[dict[str, Any]]:
        if operation == "describe_events":
            return [{"Date": at, "Message": f"{shards.RECOVERED} ft-0001-001"} for at in next(self.events)]
        return [{"ReplicationGroupId": "ft", "Status": shards.AVAILABLE, "NodeGroups": []}]


def test_a_recovery_of_an_hour_ago_hides_none_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setattr(shards, "SETTLED_S", 5.0)
    then, now = datetime(2026, 11, 23, 6, tzinfo=UTC), datetime(2026, 11, 23, 7, tzinfo=UTC)
    service = _Hourly([then], [then], [], *itertools.repeat([now], 10))
    plan = faults.find("fail_redis_masters").plan(STAGING, which="every-second")
    shards.inject(cast("Access", service), plan.undo["shards"])

    assert ["0001", "0003"] == service.tested


def test_a_shard_that_would_not_fail_over_is_refused() -> None:
    with pytest.raises(Refused, match="no automatic failover"):
        faults.find("fail_redis_masters").plan(_changed(shards=(_shard(1, A, B, fails_over=False),)))


def _single(**more: Any) -> Inventory:
    """A replication group without cluster mode, and what of its one shard is otherwise."""
    return _changed(shards=(dataclasses.replace(STAGING.shards[0], clustered=False, multi_az=True, **more),))


@pytest.mark.parametrize("manner", ["kill", "move", "reboot"])
def test_a_group_without_cluster_mode_fails_in_every_manner(manner: str) -> None:
    harm = faults.find("fail_redis_masters").plan(_single(), manner=manner)

    assert ["ft-0001-001"] == [target.name for target in harm.targets]
    assert harm.signs
    assert json.loads(json.dumps(dict(harm.undo))) == harm.undo
    assert [manner] == [name for name, key in (("kill", "shards"), ("move", "moves"), ("reboot", "reboots"))
                        if harm.undo[key]]  # fmt: skip


def test_a_moved_lead_remembers_what_is_to_be_on_again() -> None:
    (move,) = faults.find("fail_redis_masters").plan(_single(), manner="move").undo["moves"]

    assert ("ft-0001-002", True, True) == (move["to"], move["failover"], move["multi_az"])


@pytest.mark.parametrize("manner", ["move", "reboot"])
def test_a_group_in_cluster_mode_is_neither_moved_nor_rebooted(manner: str) -> None:
    with pytest.raises(Refused, match="is in cluster mode"):
        faults.find("fail_redis_masters").plan(STAGING, manner=manner)
    with pytest.raises(Refused, match="is modifying"):
        faults.find("fail_redis_masters").plan(_single(status="modifying"), manner=manner)


def test_a_lead_that_nobody_could_take_or_see_move_stays() -> None:
    plan, primary = faults.find("fail_redis_masters").plan, STAGING.shards[0].primary

    with pytest.raises(Refused, match="has no replica"):
        plan(_single(replicas=()), manner="move")
    with pytest.raises(Refused, match="speaks TLS"):
        plan(_single(primary=dataclasses.replace(primary, tls=True)), manner="move")
    assert plan(_single(primary=dataclasses.replace(primary, tls=True)), manner="reboot").signs


def test_a_zone_with_most_primaries_is_the_quorum_of_the_cluster() -> None:
    moved = _changed(shards=(_shard(1, A, B), _shard(2, A, C), _shard(3, C, A)))

    assert "the Redis Cluster ft" == faults.find("fail_zone").plan(moved, zone=A).quorum_lost
    assert "" == faults.find("fail_zone").plan(moved, zone=C).quorum_lost


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("fail_zone", {"manner": "gently"}),
        ("fail_mysql_primary", {"manner": "lag"}),
        ("fail_redis_masters", {"manner": "partition"}),
        ("fail_redis_masters", {"which": "nobody"}),
    ],
)
def test_arguments_that_name_nothing_are_refused(name: str, arguments: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        faults.find(name).plan(STAGING, **arguments)


def test_a_fault_that_is_not_there_is_refused() -> None:
    with pytest.raises(Invalid, match="AWS knows no fault 'jump_clock'"):
        faults.find("jump_clock")


def test_a_group_with_no_other_zone_may_launch_nothing() -> None:
    group = Group("api", (A,), ("subnet-a",), {"subnet-a": A}, ("AZRebalance", "Terminate"))
    (undo,) = capacity.plan([group], A)

    assert ([], ["Launch"]) == (undo["taken"], undo["suspended"])


def test_what_was_suspended_before_is_not_resumed() -> None:
    (undo,) = capacity.plan([dataclasses.replace(STAGING.groups[0], suspended=("AZRebalance",))], A)

    assert [] == undo["suspended"]


@pytest.mark.parametrize(
    ("now", "wanted"),
    [
        (["b", "c"], ["a", "b", "c"]),  # as the fault left it
        (["a", "b", "c"], ["a", "b", "c"]),  # healed, or never harmed
        (["c", "d"], ["a", "c", "d"]),  # somebody has removed b and added d meanwhile
    ],
)
def test_what_others_changed_meanwhile_is_kept(now: list[str], wanted: list[str]) -> None:
    assert wanted == capacity.merged(["a", "b", "c"], ["a"], now)


def test_a_balancer_keeps_the_zones_that_it_must_have() -> None:
    two = Balancer("arn", "lb", "application", ({"SubnetId": "a"}, {"SubnetId": "b"}), {"a": A, "b": B})

    assert [] == balancing.plan([two], A, [])
    assert ["a"] == balancing.plan([dataclasses.replace(two, kind="network")], A, [])[0]["taken"]


def test_a_balancers_node_in_a_subnet_that_is_cut_off_is_not_withdrawn() -> None:
    assert [] == balancing.plan(STAGING.balancers, A, ["subnet-public-a"])


def test_a_heal_goes_on_past_what_resists_and_names_it() -> None:
    mending = Mending()

    def act(names: list[str]) -> None:
        if "i-2" in names:
            raise ValueError("no capacity")

    assert ["i-1", "i-3"] == mending.attempt_all(["i-1", "i-2", "i-3"], "the instance", act)
    mending.attempt("the network", lambda: "the network is back")
    with pytest.raises(HealFailed, match="1 of what was harmed resisted: the instance i-2: no capacity"):
        mending.end("nothing")
