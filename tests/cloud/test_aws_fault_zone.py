"""A zone of AWS loses its power or its network: what it hits, what it leaves alone, and every way to heal it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fault_account import ZONES, Calls, Killed, Made, build, heal, inject, led_to, look, state
from standin.server import Standin

from ftchaos.errors import HealFailed, Refused, StepFailed
from ftchaos.platforms.aws import faults, heals
from ftchaos.platforms.base import Harm
from ftchaos.undo import Record

FAULT = "fail_zone"
ZONE = ZONES[0]


@pytest.fixture(scope="module")
def made(standin: Standin) -> Iterator[Made]:
    with led_to(standin):
        yield build(standin)


@pytest.fixture
def before(standin: Standin, made: Made) -> dict[str, Any]:
    """How the account stands; each test leaves it so."""
    standin.clear()
    return state(standin)


def _plan(standin: Standin, **more: Any) -> Harm:
    return faults.find(FAULT).plan(look(standin), **{"zone": ZONE, **more})


def _changes(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_an_outage_takes_what_carries_the_tag_there_and_nothing_else(
    standin: Standin, made: Made, before: dict[str, Any]
) -> None:
    harm = _plan(standin)
    said = inject(standin, FAULT, harm)
    during = state(standin)
    heal(standin, FAULT, harm)
    after = state(standin)

    balancer = next(name for name in before if "/public/" in name)
    (hole,) = during.keys() - before.keys()
    assert {made.subnets[ZONE], made.running[ZONE], "api", "alone", balancer, hole} == _changes(before, during)
    assert ["stopped", "stopped"] == [during[made.running[ZONE]][0], during[made.stopped][0]]
    assert (hole, []) == (during[made.subnets[ZONE]], [one for one in during[hole][0] if one["RuleNumber"] != 32767])
    assert ZONE not in during["api"][1]
    assert ["AZRebalance"] == during["api"][2]
    assert ["AZRebalance", "AlarmNotification", "Launch"] == during["alone"][2]
    assert ["running", "running"] == [during[made.spot][0], during[made.untagged][0]]
    assert f"{made.spot} is left out" in harm.clause
    assert f"{made.spot} was left out" in said
    assert before == after
    assert [] == standin.violations()


def test_a_partition_takes_the_network_alone(standin: Standin, made: Made, before: dict[str, Any]) -> None:
    harm = _plan(standin, manner="partition")
    inject(standin, FAULT, harm)
    during = state(standin)
    heal(standin, FAULT, harm)

    (hole,) = during.keys() - before.keys()
    assert {made.subnets[ZONE], hole} == _changes(before, during)
    assert before == state(standin)


def test_without_injection_a_heal_changes_nothing(standin: Standin, made: Made, before: dict[str, Any]) -> None:
    harm = _plan(standin)

    assert f"{ZONE} was whole" == heal(standin, FAULT, harm)
    assert before == state(standin)


def test_a_second_heal_finds_nothing_to_do(standin: Standin, made: Made, before: dict[str, Any]) -> None:
    harm = _plan(standin)
    inject(standin, FAULT, harm)
    heal(standin, FAULT, harm)
    standin.clear()
    said = heal(standin, FAULT, harm)

    assert f"{ZONE} was whole" == said
    assert {"Describe"} == {call["operation"][:8] for call in standin.calls()}
    assert before == state(standin)


def test_whoever_dies_after_any_call_of_the_injection_leaves_nothing_behind(
    standin: Standin, made: Made, before: dict[str, Any]
) -> None:
    died = 1
    while True:
        harm = _plan(standin)
        try:
            inject(standin, FAULT, harm, Calls(until=died))
        except Killed:
            died += 1
            heal(standin, FAULT, harm)
            left = state(standin)

            assert before == left, f"left behind by a death after {died - 1} calls"
        else:
            heal(standin, FAULT, harm)
            break

    assert died >= 9
    assert before == state(standin)


def test_whoever_dies_after_any_call_of_the_heal_is_made_up_for(
    standin: Standin, made: Made, before: dict[str, Any]
) -> None:
    died = 1
    while True:
        harm = _plan(standin)
        inject(standin, FAULT, harm)
        try:
            heal(standin, FAULT, harm, Calls(until=died))
            break
        except Killed:
            died += 1
            heal(standin, FAULT, harm)
            left = state(standin)

            assert before == left, f"left behind by a heal that died after {died - 1} calls"

    assert died >= 11
    assert before == state(standin)


@pytest.mark.parametrize(
    "operation", ["CreateNetworkAcl", "ReplaceNetworkAclAssociation", "StopInstances", "UpdateAutoScalingGroup"]
)
def test_a_call_whose_answer_was_lost_is_healed_too(
    standin: Standin, made: Made, before: dict[str, Any], operation: str
) -> None:
    harm = _plan(standin)
    standin.fail_next(operation, "InternalError", status=400, after=True)
    with pytest.raises(Exception, match="InternalError"):
        inject(standin, FAULT, harm)
    heal(standin, FAULT, harm)

    assert before == state(standin)


def test_a_heal_goes_on_past_a_part_that_resists(standin: Standin, made: Made, before: dict[str, Any]) -> None:
    harm = _plan(standin)
    inject(standin, FAULT, harm)
    standin.fail_next("ReplaceNetworkAclAssociation", "UnauthorizedOperation")
    with pytest.raises(HealFailed, match=made.subnets[ZONE]):
        heal(standin, FAULT, harm)
    during = state(standin)
    heal(standin, FAULT, harm)

    assert before[made.running[ZONE]] == during[made.running[ZONE]]
    assert before["api"] == during["api"]
    assert before == state(standin)


def test_what_somebody_terminated_meanwhile_is_named(standin: Standin, made: Made, before: dict[str, Any]) -> None:
    extra = standin.client("ec2").run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SubnetId=made.subnets[ZONE],
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "ftchaos", "Value": "allowed"}]}],
    )["Instances"][0]["InstanceId"]  # fmt: skip
    harm = _plan(standin)
    inject(standin, FAULT, harm)
    standin.client("ec2").terminate_instances(InstanceIds=[extra])
    said = heal(standin, FAULT, harm)

    assert f"{extra} had been terminated meanwhile" in said
    assert {extra} == _changes(before, state(standin))


def test_a_subnet_that_changed_since_the_plan_is_not_cut_off(
    standin: Standin, made: Made, before: dict[str, Any]
) -> None:
    harm = _plan(standin, manner="partition")
    harm.undo["network"]["subnets"][0]["acl"] = "acl-of-before"

    with pytest.raises(StepFailed, match="somebody changed it just now"):
        inject(standin, FAULT, harm)
    assert before == state(standin)


def test_a_zone_without_anything_tagged_is_refused(standin: Standin, made: Made) -> None:
    with pytest.raises(Refused, match="carries the tag"):
        _plan(standin, zone="us-east-1f")


def test_the_record_alone_leads_the_heal_to_the_right_account(
    standin: Standin, made: Made, before: dict[str, Any]
) -> None:
    harm = _plan(standin)
    inject(standin, FAULT, harm)
    foreign = {**harm.undo, "place": {**harm.undo["place"], "account": "999999999999"}}
    with pytest.raises(Refused, match="of the account 123456789012"):
        heals.heal(Record(1, "aws", f"{heals.FAULT}{FAULT}", foreign, "why"))
    with pytest.raises(HealFailed, match="AWS knows no heal"):
        heals.heal(Record(1, "aws", f"{heals.FAULT}jump_clock", harm.undo, "why"))
    heals.heal(Record(1, "aws", f"{heals.FAULT}{FAULT}", harm.undo, "why"))

    assert before == state(standin)
