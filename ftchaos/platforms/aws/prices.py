"""What AWS asks for one unit of something, from its price list: one price, or the reason why none is known.

A price is never a guess: where the list has none that fits, or several that differ, nothing is known.

Source: AWS Price List Query API, ``GetProducts``; it is in three regions and has the prices of all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Invalid
from ftchaos.platforms.aws.failures import ApiFailed, Denied, Unanswered

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

HOMES = ("us-east-1", "eu-central-1", "ap-south-1")
LISTED_APART = ("cn-", "us-gov-", "us-iso")
"""Regions whose prices other credentials, or other lists, are needed for."""
ANY = "Any"


@dataclass(frozen=True)
class Wanted:
    """What is looked for in the price list.

    Attributes:
        what: for people.
        region: whose prices.
        service: as the list calls it, for example ``AmazonRDS``.
        family: of products, for example ``Database Instance``.
        unit: that the price is for, for example ``Hrs``.
        attributes: that the products have.
        usage: how their usage type ends; the list has a few at other conditions beside them.
        engine: of the database that the products are for, or for any; empty where they know none.
    """

    what: str
    region: str
    service: str
    family: str
    unit: str
    attributes: Mapping[str, str]
    usage: str = ""
    engine: str = ""


@dataclass(frozen=True)
class Price:
    """In USD for one unit; None where it is not known, and why."""

    usd: Decimal | None
    why: str = ""


def ask(access: Access, wanted: Wanted) -> Price:
    """The price of something; a list that cannot be read or that is denied gives none."""
    if wanted.region.startswith(LISTED_APART):
        return Price(None, f"the prices of {wanted.region} are not in the price list of the other regions")
    home = access.place.region if access.place.region in HOMES else HOMES[0]
    given = {"productFamily": wanted.family, **wanted.attributes}
    try:
        found = access.pages(
            "pricing", "get_products", "PriceList", region=home, ServiceCode=wanted.service, FormatVersion="aws_v1",
            Filters=[{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in given.items()],
        )  # fmt: skip
        return choose([json.loads(str(one)) for one in found], wanted)
    except (Denied, ApiFailed, Unanswered, Invalid) as error:
        return Price(None, error.fact)
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
        return Price(None, f"the price list cannot be read: {type(error).__name__}")


def choose(products: Sequence[Mapping[str, Any]], wanted: Wanted) -> Price:
    """The one price that all products have which fit.

    Args:
        products: as the list has them, each with its ``product`` and ``terms``.
    """
    fit = [one for one in products if _attribute(one, "usagetype").endswith(wanted.usage)]
    if wanted.engine:
        fit = [one for one in fit if _attribute(one, "databaseEngine") == wanted.engine] or [
            one for one in fit if _attribute(one, "databaseEngine") == ANY
        ]
    # Those of an operation of its own are at other conditions than the plain one.
    fit = [one for one in fit if not _attribute(one, "operation")] or fit
    rates = {
        Decimal(dimension["pricePerUnit"]["USD"])
        for one in fit
        for term in one["terms"].get("OnDemand", {}).values()
        for dimension in term["priceDimensions"].values()
        if dimension["unit"] == wanted.unit and "USD" in dimension["pricePerUnit"]
    }
    if len(rates) == 1:
        return Price(rates.pop())
    many = f"{len(rates)} different prices" if rates else "no price"
    return Price(None, f"the price list has {many} of {wanted.what} in {wanted.region}")


def _attribute(product: Mapping[str, Any], name: str) -> str:
    return str(product["product"].get("attributes", {}).get(name, ""))
