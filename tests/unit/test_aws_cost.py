"""A cost is the sum of prices that are known; what is not known is named, and never guessed."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

import pytest

from ftchaos.platforms.aws import cost
from ftchaos.platforms.aws.cost import MONTH_S, Spec
from ftchaos.platforms.aws.prices import Price, Wanted, choose

HOUR_S = 3600.0
SPEC = Spec("mysql", "db.t4g.medium", "us-east-1", storage_type="gp3", storage_gib=100)
WANTED = Wanted("a class", "us-east-1", "AmazonRDS", "Database Instance", "Hrs", {}, "Usage:db.t4g.medium", "MySQL")


def _always(price: str) -> Any:
    return lambda wanted: Price(Decimal(price))


def _product(usd: str = "0.065", unit: str = "Hrs", **attributes: str) -> dict[str, Any]:
    known = {"usagetype": "InstanceUsage:db.t4g.medium", "databaseEngine": "MySQL", **attributes}
    dimensions = {"a.b.c": {"unit": unit, "beginRange": "0", "endRange": "Inf", "pricePerUnit": {"USD": usd}}}
    return {"product": {"attributes": known}, "terms": {"OnDemand": {"a.b": {"priceDimensions": dimensions}}}}


def test_an_hour_of_an_instance_and_a_share_of_a_month_of_its_disk() -> None:
    found = cost.summed(SPEC, _always("0.10")).over(4 * HOUR_S)

    assert [("the instance", 0.4), ("the storage", pytest.approx(0.10 * 100 * 4 / 730, abs=1e-6))] == [
        (one.what, one.usd) for one in found.lines
    ]
    assert found.total_usd == pytest.approx(0.4 + 40 / 730, abs=1e-5)
    assert "0.45 USD for 4 h: the instance 0.40 USD, the storage 0.05 USD" == found.words()


def test_an_instance_is_billed_for_ten_minutes_at_least() -> None:
    found = cost.summed(SPEC, _always("0.60")).over(30)

    assert 0.1 == found.lines[0].usd


def test_the_measured_time_takes_the_prices_of_the_estimate() -> None:
    before = cost.summed(SPEC, _always("0.10")).over(4 * HOUR_S)
    after = before.over(2 * HOUR_S)

    assert (2 * HOUR_S, 0.2) == (after.duration_s, after.lines[0].usd)


def test_one_unknown_price_leaves_the_whole_unknown_and_says_why() -> None:
    def price(wanted: Wanted) -> Price:
        return Price(None, "it is denied") if wanted.family == "Database Instance" else Price(Decimal("0.10"))

    found = cost.summed(SPEC, price).over(4 * HOUR_S)

    assert found.total_usd is None
    assert "not known: the instance (it is denied); the rest 0.05 USD for 4 h: the storage 0.05 USD" == found.words()


def test_a_copy_from_another_region_costs_its_transfer_once_and_its_snapshot_for_a_while() -> None:
    spec = dataclasses.replace(
        SPEC, region="us-west-2", storage_gib=0, snapshot_gib=730, copied_gib=50, copied_from="us-east-1"
    )
    found = {one.what: one.usd for one in cost.summed(spec, _always("0.02")).over(HOUR_S).lines}

    assert {"the instance": 0.02, "the snapshot copy": 0.02, "the transfer between regions": 1.0} == found


@pytest.mark.parametrize(
    ("changed", "what", "amount"),
    [
        ({"storage_type": "io1", "iops": 3000}, "the IOPS", 3000),
        ({"storage_type": "gp3", "iops": 3000}, None, None),
        ({"storage_type": "gp3", "iops": 4000}, "the IOPS", 1000),
        ({"storage_type": "gp3", "iops": 12000, "storage_gib": 400}, None, None),
        ({"storage_type": "gp2"}, None, None),
        ({"engine": "aurora-mysql", "storage_type": "aurora", "requests": 2_000_000}, "the I/O", 2_000_000),
        ({"engine": "aurora-mysql", "storage_type": "aurora-iopt1"}, None, None),
    ],
)
def test_io_is_billed_where_it_is_not_part_of_the_disk(
    changed: dict[str, Any], what: str | None, amount: int | None
) -> None:
    found = cost.summed(dataclasses.replace(SPEC, **changed), _always("0.1")).over(MONTH_S)
    extra = [(one.what, one.amount) for one in found.lines[2:]]

    assert ([] if what is None else [(what, amount)]) == extra
    assert found.total_usd is not None


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"engine": "oracle-ee"}, "nobody here knows the prices of oracle-ee"),
        ({"instance_class": "db.serverless"}, "billed by the capacity that it takes"),
        ({"storage_gib": None}, "its size shows only once it is restored"),
        ({"storage_type": "gp9"}, "nobody here knows the prices of gp9"),
        ({"engine": "aurora-mysql", "storage_type": "aurora"}, "shows only afterwards"),
        ({"storage_type": "io2", "iops": 1000}, "the price of IOPS of io2"),
        ({"storage_type": "gp3", "throughput_mib_s": 300}, "more throughput than comes with the disk"),
    ],
)
def test_what_nobody_can_know_is_not_known(changed: dict[str, Any], why: str) -> None:
    found = cost.summed(dataclasses.replace(SPEC, **changed), _always("0.1")).over(HOUR_S)

    assert found.total_usd is None
    assert why in found.words()


def test_little_money_is_no_zero() -> None:
    assert "less than 0.01 USD for 60 s" in cost.summed(SPEC, _always("0.0001")).over(60).words()


def test_the_one_price_that_fits_is_taken() -> None:
    others = [
        _product("0.130", usagetype="InstanceUsageIOOptimized:db.t4g.medium"),
        _product("0.140", databaseEngine="MariaDB"),
        _product("0.150", unit="Quantity"),
    ]

    assert Price(Decimal("0.065")) == choose([_product(), _product(), *others], WANTED)


def test_a_price_for_any_engine_will_do_where_the_engine_has_none_of_its_own() -> None:
    for_any = _product("0.2", databaseEngine="Any")

    assert Price(Decimal("0.2")) == choose([for_any, _product("0.3", databaseEngine="SQL Server")], WANTED)
    assert Price(Decimal("0.065")) == choose([for_any, _product()], WANTED)


@pytest.mark.parametrize(
    ("products", "said"), [([], "no price"), ([_product(), _product("0.066")], "2 different prices")]
)
def test_no_price_or_more_than_one_is_none(products: list[dict[str, Any]], said: str) -> None:
    found = choose(products, WANTED)

    assert found.usd is None
    assert f"the price list has {said} of a class in us-east-1" == found.why


def test_what_the_evidence_keeps_of_a_cost_is_whole() -> None:
    kept = cost.summed(SPEC, _always("0.10")).over(HOUR_S).to_json()

    assert {"duration_s", "total_usd", "known_usd", "lines"} == set(kept)
    assert {"what", "unit", "amount", "per", "price_usd", "why", "usd"} == set(kept["lines"][0])
