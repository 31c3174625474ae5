"""Prices as the price list of AWS gives them, in its shape and by its filters."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from fault_account import led_to
from standin.server import Standin

from ftchaos.platforms.aws import cost
from ftchaos.platforms.aws.access import Access, Place
from ftchaos.platforms.aws.cost import Spec

HOUR_S = 3600.0
SPEC = Spec("mysql", "db.t3.small", "us-east-1", storage_type="gp3", storage_gib=100)
FAR = dataclasses.replace(SPEC, region="us-west-2", snapshot_gib=100, copied_gib=40, copied_from="us-east-1")


@pytest.fixture(scope="module")
def access(standin: Standin) -> Iterator[Access]:
    with led_to(standin):
        yield Access(Place("staging", standin.account, standin.region, endpoint=standin.endpoint))


def test_a_restore_in_the_same_region(standin: Standin, access: Access) -> None:
    standin.clear()
    found = cost.estimate(access, SPEC, 4 * HOUR_S)

    assert found.total_usd == pytest.approx(0.034 * 4 + 0.115 * 100 * 4 / 730, abs=1e-5)
    assert 2 == len(standin.calls("GetProducts"))
    assert [] == standin.violations()


def test_a_restore_in_another_region_has_a_copy_and_a_transfer(access: Access) -> None:
    found = cost.estimate(access, FAR, HOUR_S)
    prices = {one.what: one.price_usd for one in found.lines}

    assert {
        "the instance": 0.034, "the storage": 0.115, "the snapshot copy": 0.095, "the transfer between regions": 0.02,
    } == prices  # fmt: skip
    assert found.total_usd is not None


@pytest.mark.parametrize(
    ("changed", "price"),
    [
        ({"deployment": cost.MULTI}, 0.068),
        ({"engine": "aurora-mysql", "instance_class": "db.r6g.large", "storage_type": "aurora"}, 0.215),
        ({"engine": "aurora-mysql", "instance_class": "db.r6g.large", "storage_type": cost.IO_OPTIMIZED}, 0.2795),
    ],
)
def test_the_same_class_has_other_prices_at_other_conditions(
    access: Access, changed: dict[str, str], price: float
) -> None:
    spec = dataclasses.replace(SPEC, requests=1_000_000, **changed)  # type: ignore[arg-type]
    found = cost.estimate(access, spec, HOUR_S)

    assert price == found.lines[0].price_usd
    assert found.total_usd is not None


def test_a_denied_price_list_leaves_the_cost_unknown_and_says_which_permission_is_missing(
    standin: Standin, access: Access
) -> None:
    standin.fail_next("GetProducts", "AccessDeniedException", times=2)
    found = cost.estimate(access, SPEC, HOUR_S)

    assert found.total_usd is None
    assert found.words().startswith("not known: the instance (pricing:GetProducts is not allowed to this identity")


def test_a_class_that_the_list_does_not_have_is_not_known(access: Access) -> None:
    found = cost.estimate(access, dataclasses.replace(SPEC, instance_class="db.x9.huge"), HOUR_S)

    assert found.total_usd is None
    assert "the price list has no price of db.x9.huge (MySQL, Single-AZ) in us-east-1" in found.words()
    assert found.known_usd > 0


def test_regions_whose_prices_are_listed_apart_are_not_asked_for(standin: Standin, access: Access) -> None:
    standin.clear()
    found = cost.estimate(access, dataclasses.replace(SPEC, region="cn-north-1"), HOUR_S)

    assert found.total_usd is None
    assert [] == standin.calls("GetProducts")


def test_from_a_region_without_a_price_list_another_is_asked(standin: Standin) -> None:
    with led_to(standin):
        far = Access(Place("staging", standin.account, "us-west-2", endpoint=standin.endpoint))
    standin.clear()

    assert cost.estimate(far, dataclasses.replace(SPEC, region="us-west-2"), HOUR_S).total_usd is not None
    assert {"us-east-1"} == {call["region"] for call in standin.calls("GetProducts")}
