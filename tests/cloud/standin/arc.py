"""Zonal shift of Application Recovery Controller, of which moto has nothing.

A load balancer takes part while its attribute says so, in the zones that it has; it has one shift at a time. There is
no traffic that would be led anywhere: the weights of its zones are what shows.
"""

from __future__ import annotations

import datetime
import uuid
from typing import Any

from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend
from moto.elbv2.models import elbv2_backends

from standin.call import Call, Refused
from standin.world import ACCOUNT, World, now

_UNITS = {"m": "minutes", "h": "hours"}
_LONGEST = datetime.timedelta(hours=72)


class Shifts:
    """The handlers of zonal shifts."""

    def __init__(self, world: World) -> None:
        self._shifts: dict[str, dict[str, Any]] = {}
        world.resets.append(self._shifts.clear)
        self.handlers: dict[tuple[str, str], Any] = {
            ("arc-zonal-shift", "StartZonalShift"): self.begin,
            ("arc-zonal-shift", "CancelZonalShift"): self.cancel,
            ("arc-zonal-shift", "ListZonalShifts"): self.list_shifts,
            ("arc-zonal-shift", "ListManagedResources"): self.list_resources,
            ("arc-zonal-shift", "GetManagedResource"): self.resource,
        }

    def begin(self, call: Call) -> Any:
        params, arn = call.params, call.params["resourceIdentifier"]
        if params["awayFrom"] not in self._need(call.region, arn)["availabilityZones"]:
            raise Refused("ValidationException", f"{arn} is not in {params['awayFrom']}")
        if self._active(arn):
            raise Refused("ConflictException", f"{arn} has a zonal shift already", 409)
        length = datetime.timedelta(**{_UNITS[params["expiresIn"][-1]]: int(params["expiresIn"][:-1])})
        if length > _LONGEST:
            raise Refused("ValidationException", "a zonal shift lasts 72 hours at most")
        made = {
            "zonalShiftId": str(uuid.uuid4()),
            "resourceIdentifier": arn,
            "awayFrom": params["awayFrom"],
            "startTime": now(),
            "expiryTime": now() + length,
            "status": "ACTIVE",
            "comment": params["comment"],
            "shiftType": "ZONAL_SHIFT",
        }
        self._shifts[made["zonalShiftId"]] = made
        return made

    def cancel(self, call: Call) -> Any:
        self._expire()
        shift = self._shifts.get(call.params["zonalShiftId"])
        if shift is None:
            raise Refused("ResourceNotFoundException", "no such zonal shift", 404)
        if shift["status"] != "ACTIVE":
            raise Refused("ConflictException", f"the zonal shift is {shift['status']}", 409)
        shift["status"] = "CANCELED"
        return shift

    def list_shifts(self, call: Call) -> Any:
        self._expire()
        wanted = {key: call.params[key] for key in ("status", "resourceIdentifier") if key in call.params}
        found = [one for one in self._shifts.values() if wanted.items() <= one.items()]
        return {"items": [one for one in found if one["resourceIdentifier"].split(":")[3] == call.region]}

    def list_resources(self, call: Call) -> Any:
        return {"items": [self._describe(one) for one in _taking_part(call.region).values()]}

    def resource(self, call: Call) -> Any:
        return self._need(call.region, call.params["resourceIdentifier"])

    def _need(self, region: str, arn: str) -> dict[str, Any]:
        balancer = _taking_part(region).get(arn)
        if balancer is None:
            raise Refused("ResourceNotFoundException", f"{arn} is no managed resource", 404)
        return self._describe(balancer)

    def _describe(self, balancer: Any) -> dict[str, Any]:
        ids = _zone_ids(balancer)
        active = self._active(balancer.arn)
        away = {one["awayFrom"] for one in active}
        return {
            "arn": balancer.arn,
            "name": balancer.name,
            "availabilityZones": ids,
            "appliedWeights": {zone: 0.0 if zone in away else 1.0 for zone in ids},
            "zonalShifts": [{**one, "appliedStatus": "APPLIED"} for one in active],
            "autoshifts": [],
            "zonalAutoshiftStatus": "DISABLED",
        }

    def _active(self, arn: str) -> list[dict[str, Any]]:
        self._expire()
        return [one for one in self._shifts.values() if one["resourceIdentifier"] == arn and one["status"] == "ACTIVE"]

    def _expire(self) -> None:
        for one in self._shifts.values():
            if one["status"] == "ACTIVE" and one["expiryTime"] <= now():
                one["status"] = "EXPIRED"


def _taking_part(region: str) -> dict[str, Any]:
    balancers = elbv2_backends[ACCOUNT][region].load_balancers
    return {arn: one for arn, one in balancers.items() if one.attrs.get("zonal_shift.config.enabled") == "true"}


def _zone_ids(balancer: Any) -> list[str]:
    region = balancer.arn.split(":")[3]
    ids = {zone.name: zone.zone_id for zone in RegionsAndZonesBackend.zones[region]}
    return sorted(ids[subnet.availability_zone] for subnet in balancer.subnets)
