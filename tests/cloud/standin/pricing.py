"""The price list: products as ``GetProducts`` gives them, each a JSON text, selected by their attributes, page by page.

The prices are made up; the shape is that of the real list, its traps with it: one product for several engines, the
same class at other conditions, a transfer that an operation of its own makes dearer.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

from standin.call import Call, Refused

PAGE = 100
HOMES = ("us-east-1", "eu-central-1", "ap-south-1")
SOURCE, OTHER = "us-east-1", "us-west-2"
# Of usage types; those of the first region have none.
_PREFIXES = {SOURCE: "", OTHER: "USW2-"}


def _product(
    service: str, family: str, region: str, usage: str, rate: str, unit: str, operation: str = "", **attributes: str
) -> dict[str, Any]:
    sku = f"{zlib.crc32(repr((service, region, usage, operation, attributes)).encode()):016X}"
    term, code = f"{sku}.JRTCKXETXF", f"{sku}.JRTCKXETXF.6YS6EN2CT7"
    dimension = {
        "unit": unit, "endRange": "Inf", "description": f"${rate} per {unit}", "appliesTo": [], "rateCode": code,
        "beginRange": "0", "pricePerUnit": {"USD": rate},
    }  # fmt: skip
    return {
        "product": {
            "productFamily": family, "sku": sku,
            "attributes": {
                "servicecode": service, "usagetype": usage, "operation": operation, "regionCode": region,
                "locationType": "AWS Region", **attributes,
            },
        },
        "serviceCode": service,
        "terms": {
            "OnDemand": {
                term: {
                    "priceDimensions": {code: dimension}, "sku": sku, "effectiveDate": "2026-11-01T00:00:00Z",
                    "offerTermCode": "JRTCKXETXF", "termAttributes": {},
                }
            }
        },
        "version": "20261101000000",
        "publicationDate": "2026-11-01T00:00:00Z",
    }  # fmt: skip


def _of_region(region: str) -> list[dict[str, Any]]:
    prefix = _PREFIXES[region]

    def rds(family: str, usage: str, rate: str, unit: str, **attributes: str) -> dict[str, Any]:
        operation = attributes.pop("operation", "")
        return _product("AmazonRDS", family, region, f"{prefix}{usage}", rate, unit, operation, **attributes)

    found = []
    for engine, number in (("MySQL", "0002"), ("MariaDB", "0018"), ("Aurora MySQL", "0016")):
        for name, rate in (
            ("db.t3.small", 0.034),
            ("db.t3.medium", 0.068),
            ("db.t4g.medium", 0.065),
            ("db.r6g.large", 0.215),
        ):
            for deployment, usage, times in (
                ("Single-AZ", "InstanceUsage", 1), ("Multi-AZ", "Multi-AZUsage", 2),
                ("Single-AZ", "InstanceUsageIOOptimized", 1.3),
            ):  # fmt: skip
                found.append(
                    rds(
                        "Database Instance", f"{usage}:{name}", f"{rate * times:.10f}", "Hrs", instanceType=name,
                        databaseEngine=engine, deploymentOption=deployment, operation=f"CreateDBInstance:{number}",
                    )
                )  # fmt: skip
    for volume, usage, rate in (("General Purpose", "GP2", 0.115), ("General Purpose-GP3", "GP3", 0.115)):
        for deployment, zones, times in (("Single-AZ", "", 1), ("Multi-AZ", "Multi-AZ-", 2)):
            for engine, more in (("Any", 1.0), ("MySQL", 1.0), ("SQL Server", 1.5)):
                found.append(
                    rds(
                        "Database Storage", f"RDS:{zones}{usage}-Storage", f"{rate * times * more:.10f}", "GB-Mo",
                        volumeType=volume, databaseEngine=engine, deploymentOption=deployment,
                    )
                )  # fmt: skip
    found += [
        rds("Provisioned IOPS", "RDS:PIOPS", "0.1000000000", "IOPS-Mo", databaseEngine="Any"),
        rds("Provisioned IOPS", "RDS:GP3-PIOPS", "0.0200000000", "IOPS-Mo", databaseEngine="Any"),
        rds("Storage Snapshot", "RDS:ChargedBackupUsage", "0.0950000000", "GB-Mo", databaseEngine="MySQL"),
        rds("Storage Snapshot", "Aurora:BackupUsage", "0.0210000000", "GB-Mo", databaseEngine="Aurora MySQL"),
        rds("Database Storage", "Aurora:StorageUsage", "0.1000000000", "GB-Mo", databaseEngine="Any"),
        rds("Database Storage", "Aurora:IO-OptimizedStorageUsage", "0.2250000000", "GB-Mo", databaseEngine="Any"),
        rds("System Operation", "Aurora:StorageIOUsage", "0.0000002000", "IOs", databaseEngine="Any"),
    ]
    return found


def _transfer(operation: str, rate: str) -> dict[str, Any]:
    return _product(
        "AWSDataTransfer", "Data Transfer", SOURCE, "USE1-USW2-AWS-Out-Bytes", rate, "GB", operation,
        transferType="InterRegion Outbound", fromRegionCode=SOURCE, toRegionCode=OTHER,
    )  # fmt: skip


CATALOGUE = [
    *_of_region(SOURCE),
    *_of_region(OTHER),
    _transfer("", "0.0200000000"),
    _transfer("Peered", "0.0300000000"),
]


def get_products(call: Call) -> dict[str, Any]:
    """The products of a service that have all attributes that are asked for."""
    if call.region not in HOMES:  # the real list has no address there
        raise Refused("InternalErrorException", f"there is no price list in {call.region}", 500)
    params = call.params
    wanted = {one["Field"]: one["Value"] for one in params.get("Filters", [])}
    fit = [
        json.dumps(one)
        for one in CATALOGUE
        if one["serviceCode"] == params["ServiceCode"]
        and wanted.items() <= {"productFamily": one["product"]["productFamily"], **one["product"]["attributes"]}.items()
    ]
    begin, size = int(params.get("NextToken") or 0), int(params.get("MaxResults") or PAGE)
    more = {"NextToken": str(begin + size)} if begin + size < len(fit) else {}
    return {"FormatVersion": "aws_v1", "PriceList": fit[begin : begin + size], **more}
