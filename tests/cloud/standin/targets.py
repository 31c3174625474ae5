"""What an experiment of AWS FIS finds: by tag, by the zone in parameters, and by filters on what ``Describe`` says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moto.autoscaling.models import autoscaling_backends

from standin.aurora import Aurora
from standin.caches import Caches
from standin.call import Refused
from standin.world import ACCOUNT, ec2, rds

_ZONES = ("availabilityZoneIdentifier", "availabilityZoneIdentifiers", "writerAvailabilityZoneIdentifiers")


@dataclass(frozen=True)
class _Resource:
    """One that could be found: its tags, its zones, and further attributes that filters know."""

    arn: str
    tags: dict[str, str]
    zones: tuple[str, ...]
    attributes: dict[str, Any]


class Targets:
    """Finds the resources of a target."""

    def __init__(self, clusters: Aurora, caches: Caches) -> None:
        self._clusters = clusters
        self._caches = caches

    def find(self, region: str, target: dict[str, Any]) -> list[str]:
        """The ARNs of those that match."""
        if target.get("resourceArns"):
            return list(target["resourceArns"])
        listed = {
            "aws:ec2:instance": self._instances,
            "aws:ec2:subnet": self._subnets,
            "aws:ec2:autoscaling-group": self._groups,
            "aws:rds:cluster": self._databases,
            "aws:rds:db": self._servers,
            "aws:elasticache:replicationgroup": self._replication_groups,
        }.get(target["resourceType"])
        if listed is None:
            raise Refused("ValidationException", f"the stand-in has no {target['resourceType']}")
        return [one.arn for one in listed(region) if _matches(one, target)]

    def _instances(self, region: str) -> Iterator[_Resource]:
        for reservation in ec2(region).reservations.values():
            for one in reservation.instances:
                zone = ec2(region).get_subnet(one.subnet_id).availability_zone
                yield _Resource(
                    f"arn:aws:ec2:{region}:{ACCOUNT}:instance/{one.id}", _plain(one.get_tags()), (zone,),
                    {"Placement.AvailabilityZone": zone, "State.Name": one.state},
                )  # fmt: skip

    def _subnets(self, region: str) -> Iterator[_Resource]:
        for by_id in ec2(region).subnets.values():
            for one in by_id.values():
                yield _Resource(
                    f"arn:aws:ec2:{region}:{ACCOUNT}:subnet/{one.id}", _plain(one.get_tags()),
                    (one.availability_zone,), {"AvailabilityZone": one.availability_zone, "VpcId": one.vpc_id},
                )  # fmt: skip

    def _groups(self, region: str) -> Iterator[_Resource]:
        for name, one in autoscaling_backends[ACCOUNT][region].autoscaling_groups.items():
            arn = f"arn:aws:autoscaling:{region}:{ACCOUNT}:autoScalingGroup:{one._id}:autoScalingGroupName/{name}"
            zones = tuple(one.availability_zones)
            yield _Resource(arn, _plain(one.tags), zones, {"AvailabilityZones": zones})

    def _databases(self, region: str) -> Iterator[_Resource]:
        for one in self._clusters.clusters.values():
            if one.model.region == region and one.members:
                yield _Resource(one.model.arn, _plain(one.model.tags), (one.members[0].place.zone,), {})

    def _servers(self, region: str) -> Iterator[_Resource]:
        for one in rds(region).databases.values():
            yield _Resource(one.arn, _plain(one.tags), (one.availability_zone,), {})

    def _replication_groups(self, region: str) -> Iterator[_Resource]:
        for (where, _), one in self._caches.groups.items():
            if where == region:
                zones = tuple(node.place.zone for node in one.servers.nodes)
                yield _Resource(one.model.arn, _plain(one.model.tags), zones, {})


def _plain(tags: Any) -> dict[str, str]:
    """Tags in whichever of moto's ways they are kept."""
    return {one.get("Key") or one.get("key"): one.get("Value") or one.get("value") or "" for one in tags}


def _matches(one: _Resource, target: dict[str, Any]) -> bool:
    if not target.get("resourceTags", {}).items() <= one.tags.items():
        return False
    for name, value in target.get("parameters", {}).items():
        if name in _ZONES and value != "all" and not {*value.replace(" ", "").split(",")} & {*one.zones}:
            return False
        if name == "vpc" and value != one.attributes.get("VpcId"):
            return False
    for wanted in target.get("filters", []):
        seen = one.attributes.get(wanted["path"], ())
        if not {*wanted["values"]} & {*((seen,) if isinstance(seen, str) else seen)}:
            return False
    return True
