"""A zonal shift as the recovery from a zone that failed: begun with the fault, cancelled once the zone is whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fault_account import ZONES, Made, build, die_after_each_call, heal, inject, led_to, look, state
from standin.server import Standin

from ftchaos.errors import HealFailed, Refused
from ftchaos.platforms.aws import faults
from ftchaos.platforms.base import Harm

FAULT = "fail_zone"
ZONE = ZONES[0]


@pytest.fixture(scope="module")
def made(standin: Standin) -> Iterator[Made]:
    with led_to(standin):
        built = build(standin)
        for name in ("public", "untagged"):
            _take_part(standin, name, "true")
        yield built


@pytest.fixture
def before(standin: Standin, made: Made) -> dict[str, Any]:
    """How the account stands; each test leaves it so, with no traffic led away."""
    standin.clear()
    assert {1.0} == set(_weights(standin).values())
    return state(standin)


def _arn(standin: Standin, name: str) -> str:
    return str(standin.client("elbv2").describe_load_balancers(Names=[name])["LoadBalancers"][0]["LoadBalancerArn"])


def _take_part(standin: Standin, name: str, whether: str) -> None:
    standin.client("elbv2").modify_load_balancer_attributes(
        LoadBalancerArn=_arn(standin, name), Attributes=[{"Key": "zonal_shift.config.enabled", "Value": whether}]
    )


def _weights(standin: Standin, name: str = "public") -> dict[str, float]:
    """How much traffic goes to each zone of a load balancer."""
    ids = {one["ZoneId"]: one["ZoneName"] for one in
           standin.client("ec2").describe_availability_zones()["AvailabilityZones"]}  # fmt: skip
    said = standin.client("arc-zonal-shift").get_managed_resource(resourceIdentifier=_arn(standin, name))
    return {ids[zone]: weight for zone, weight in said["appliedWeights"].items()}


def _plan(standin: Standin, **more: Any) -> Harm:
    return faults.find(FAULT).plan(look(standin, zonal_shift=True), **{"zone": ZONE, **more})


def test_traffic_is_led_away_when_the_zone_fails_and_back_when_it_is_whole(
    standin: Standin, made: Made, before: dict[str, Any]
) -> None:
    harm = _plan(standin)
    said = inject(standin, FAULT, harm)
    during = _weights(standin)
    heal(standin, FAULT, harm)
    operations = [call["operation"] for call in standin.calls()]

    assert {ZONES[0]: 0.0, ZONES[1]: 1.0, ZONES[2]: 1.0} == during
    assert "a zonal shift led public away from use1-az" in harm.clause
    assert "a zonal shift leads public away from use1-az" in said
    assert "public there" in {target.name for target in harm.targets}
    assert "SetSubnets" not in operations
    assert operations.index("StopInstances") < operations.index("StartZonalShift")
    assert operations.index("StartInstances") < operations.index("CancelZonalShift")
    assert {1.0} == set(_weights(standin).values())
    assert before == state(standin)
    assert [] == standin.violations()


def test_without_injection_a_heal_cancels_nothing(standin: Standin, made: Made, before: dict[str, Any]) -> None:
    standin.client("arc-zonal-shift").start_zonal_shift(
        resourceIdentifier=_arn(standin, "untagged"), awayFrom="use1-az1", expiresIn="1h", comment="somebody else's"
    )
    heal(standin, FAULT, _plan(standin))
    (kept,) = standin.client("arc-zonal-shift").list_zonal_shifts(status="ACTIVE")["items"]
    standin.client("arc-zonal-shift").cancel_zonal_shift(zonalShiftId=kept["zonalShiftId"])

    assert "somebody else's" == kept["comment"]
    assert before == state(standin)


def test_whoever_dies_after_any_call_leaves_no_traffic_led_away(
    standin: Standin, made: Made, before: dict[str, Any]
) -> None:
    def whole() -> None:
        assert (before, {1.0}) == (state(standin), set(_weights(standin).values()))

    injected, healed = die_after_each_call(standin, FAULT, lambda: _plan(standin, manner="partition"), whole)

    assert injected >= 5
    assert healed >= 5


def test_a_shift_whose_answer_was_lost_is_cancelled_too(standin: Standin, made: Made, before: dict[str, Any]) -> None:
    harm = _plan(standin, manner="partition")
    standin.fail_next("StartZonalShift", "InternalServerException", status=400, after=True)
    with pytest.raises(Exception, match="InternalServerException"):
        inject(standin, FAULT, harm)
    during = _weights(standin)
    heal(standin, FAULT, harm)

    assert 0.0 == during[ZONE]
    assert {1.0} == set(_weights(standin).values())
    assert before == state(standin)


def test_traffic_stays_away_from_a_zone_that_is_not_whole(standin: Standin, made: Made, before: dict[str, Any]) -> None:
    harm = _plan(standin, manner="partition")
    inject(standin, FAULT, harm)
    standin.fail_next("ReplaceNetworkAclAssociation", "UnauthorizedOperation")
    with pytest.raises(HealFailed, match="it is kept until the zone is whole"):
        heal(standin, FAULT, harm)
    during = _weights(standin)
    heal(standin, FAULT, harm)

    assert 0.0 == during[ZONE]
    assert {1.0} == set(_weights(standin).values())
    assert before == state(standin)


def test_a_shift_that_is_under_way_and_balancers_that_take_no_part_are_refused(
    standin: Standin, made: Made, before: dict[str, Any]
) -> None:
    shifts = standin.client("arc-zonal-shift")
    other = shifts.start_zonal_shift(
        resourceIdentifier=_arn(standin, "public"), awayFrom="use1-az1", expiresIn="1h", comment="x"
    )
    with pytest.raises(Refused, match="public is shifted away from use1-az1 already"):
        _plan(standin)
    shifts.cancel_zonal_shift(zonalShiftId=other["zonalShiftId"])
    _take_part(standin, "public", "false")
    with pytest.raises(Refused, match="no load balancer with the tag ftchaos=allowed takes part"):
        _plan(standin)
    _take_part(standin, "public", "true")

    assert before == state(standin)
