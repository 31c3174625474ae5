"""Reads the inventory: a page at a time, asked by tag, and never more calls for more resources than pages hold.

Two lists have no filter by tag: databases carry their tags with them, and of load balancers and replication groups the
tagging API says which carry it.
"""

from __future__ import annotations

import itertools
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ftchaos.errors import StepFailed
from ftchaos.platforms.aws import roles, shifts, stores
from ftchaos.platforms.aws.inventory import (
    Balancer,
    Group,
    Instance,
    Inventory,
    Subnet,
    tags,
)

if TYPE_CHECKING:
    from ftchaos.config import Environment
    from ftchaos.platforms.aws.access import Access

PORT_TAG = "ftchaos-port"
FILTERED = 200  # values that one filter of EC2 takes
LIVING = ["pending", "running", "stopping", "stopped"]
METADATA = "http://169.254.169.254/latest/"
METADATA_S = 1.0


def take(
    access: Access,
    *,
    tag: tuple[str, str] = ("ftchaos", "allowed"),
    mysql: str = "",
    redis: str = "",
    client_zone: str = "",
    zonal_shift: bool = False,
    template: str = "",
    role: Callable[[str, int, bool], str] = roles.ask,
) -> Inventory:
    """All that carries the tag, and how it stands now.

    Args:
        tag: key and value of the tag that allows faults.
        mysql, redis: the database and the replication group that the application uses.
        client_zone: where the ledger's clients are, where that is configured; else the machine is asked.
        zonal_shift: whether it is to be the recovery from a zone that failed.
        template: the id of an experiment template of AWS FIS, where one is configured.
        role: asks a node of a Redis Cluster, by host, port and whether it wants TLS, whether it is ``master`` or
            ``slave``; ElastiCache does not say it of those.

    Raises:
        Refused: something that carries the tag belongs to another account.
    """
    subnets = tuple(_subnets(access, tag))
    zone_of = {one.id: one.zone for one in subnets}
    tagged = _tagged(access, tag)
    shards = tuple(stores.shards(access, tagged, zone_of, role))
    return Inventory(
        place=access.place.to_json(),
        tag="=".join(tag),
        client_zone=client_zone or own_zone(),
        mysql=mysql,
        redis=redis,
        instances=tuple(_instances(access, tag)),
        subnets=subnets,
        groups=tuple(_groups(access, tag, zone_of)),
        balancers=tuple(_balancers(access, tagged)),
        databases=tuple(stores.databases(access, tag)),
        shards=shards,
        tested=stores.tested(access) if shards else 0,
        shifts=shifts.take(access, tagged) if zonal_shift else None,
        template=_template(access, template) if template else None,
    )


def of(access: Access, settings: Environment, role: Callable[[str, int, bool], str] = roles.ask) -> Inventory:
    """The same, as an environment is configured."""
    key, _, value = settings.tag.partition("=")
    mysql, redis = settings.mysql, settings.redis
    return take(
        access,
        tag=(key, value),
        mysql=(mysql.instance or mysql.cluster or "") if mysql else "",
        redis=redis.replication_group if redis else "",
        client_zone=settings.client_zone or "",
        zonal_shift=settings.zonal_shift,
        template=settings.fis.template if settings.fis else "",
        role=role,
    )


def own_zone() -> str:
    """The zone of the machine that this runs on, as its metadata service says; empty where there is none.

    Source: EC2 user guide, IMDSv2. From a container behind a hop limit of 1 nothing answers, which proves nothing.
    """
    try:
        ask = urllib.request.Request(
            METADATA + "api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        token = opener.open(ask, timeout=METADATA_S).read().decode()
        ask = urllib.request.Request(
            METADATA + "meta-data/placement/availability-zone", headers={"X-aws-ec2-metadata-token": token}
        )
        return str(opener.open(ask, timeout=METADATA_S).read().decode())
    except (OSError, ValueError):
        return ""


def chunks(values: Iterable[str], size: int = FILTERED) -> Iterator[list[str]]:
    """The values, so many at a time."""
    left = iter(values)
    while some := list(itertools.islice(left, size)):
        yield some


def associations(access: Access, vpcs: Iterable[str]) -> dict[str, tuple[str, str, Mapping[str, str]]]:
    """For each subnet of these VPCs the id of its association, the network ACL that this leads to, and its tags.

    The id of an association changes whenever it is replaced, so it is never kept.
    """
    return {
        one["SubnetId"]: (one["NetworkAclAssociationId"], acl["NetworkAclId"], tags(acl))
        for some in chunks(sorted(set(vpcs)))
        for acl in access.pages(
            "ec2", "describe_network_acls", "NetworkAcls", Filters=[{"Name": "vpc-id", "Values": some}]
        )
        for one in acl["Associations"]
    }


def _by_tag(tag: tuple[str, str]) -> dict[str, Any]:
    return {"Name": f"tag:{tag[0]}", "Values": [tag[1]]}


def _subnets(access: Access, tag: tuple[str, str]) -> Iterator[Subnet]:
    found = list(access.pages("ec2", "describe_subnets", "Subnets", Filters=[_by_tag(tag)]))
    acls = associations(access, (one["VpcId"] for one in found))
    for one in found:
        access.ensure_ours(one["SubnetArn"])
        if one["SubnetId"] not in acls:
            raise StepFailed(
                f"the subnet {one['SubnetId']} has no network ACL", "it may be about to be deleted; try again"
            )
        yield Subnet(one["SubnetId"], one["AvailabilityZone"], one["VpcId"], acls[one["SubnetId"]][1])


def _instances(access: Access, tag: tuple[str, str]) -> Iterator[Instance]:
    which = [_by_tag(tag), {"Name": "instance-state-name", "Values": LIVING}]
    for reservation in access.pages("ec2", "describe_instances", "Reservations", Filters=which):
        for one in reservation["Instances"]:
            region, owner = access.place.region, reservation["OwnerId"]
            access.ensure_ours(f"arn:aws:ec2:{region}:{owner}:instance/{one['InstanceId']}")
            port = tags(one).get(PORT_TAG, "")
            yield Instance(
                one["InstanceId"],
                one["Placement"]["AvailabilityZone"],
                one.get("SubnetId", ""),
                one["State"]["Name"],
                _spared(one),
                one.get("PrivateIpAddress", ""),
                int(port) if port.isdigit() else 0,
            )


def _spared(one: Mapping[str, Any]) -> str:
    if one.get("InstanceLifecycle") == "spot":
        return "a spot instance, which may not come back"
    if one.get("RootDeviceType") == "instance-store":
        return "it has no volume that outlives a stop"
    return "it is only just beginning" if one["State"]["Name"] == "pending" else ""


def _groups(access: Access, tag: tuple[str, str], zone_of: Mapping[str, str]) -> list[Group]:
    found = list(
        access.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", Filters=[_by_tag(tag)])
    )
    subnets = {name for one in found for name in _listed(one)}
    zones = {**zone_of, **_zones_of(access, subnets - zone_of.keys())}
    groups = []
    for one in found:
        access.ensure_ours(one["AutoScalingGroupARN"])
        suspended = tuple(sorted(process["ProcessName"] for process in one.get("SuspendedProcesses", [])))
        mine = _listed(one)
        groups.append(
            Group(
                one["AutoScalingGroupName"],
                tuple(one["AvailabilityZones"]),
                mine,
                {name: zones.get(name, "") for name in mine},
                suspended,
            )
        )
    return groups


def _listed(group: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name.strip() for name in group.get("VPCZoneIdentifier", "").split(",") if name.strip())


def _zones_of(access: Access, subnets: Iterable[str]) -> dict[str, str]:
    return {
        one["SubnetId"]: one["AvailabilityZone"]
        for some in chunks(sorted(subnets))
        for one in access.pages("ec2", "describe_subnets", "Subnets", Filters=[{"Name": "subnet-id", "Values": some}])
    }


def _tagged(access: Access, tag: tuple[str, str]) -> set[str]:
    """The names of load balancers and replication groups that carry the tag, as the tagging API knows them."""
    return {
        one["ResourceARN"]
        for one in access.pages(
            "resourcegroupstaggingapi",
            "get_resources",
            "ResourceTagMappingList",
            ResourceTypeFilters=["elasticloadbalancing:loadbalancer", "elasticache:replicationgroup"],
            TagFilters=[{"Key": tag[0], "Values": [tag[1]]}],
        )
    }


def _balancers(access: Access, tagged: set[str]) -> Iterator[Balancer]:
    if not any(":loadbalancer/" in arn for arn in tagged):
        return
    for one in access.pages("elbv2", "describe_load_balancers", "LoadBalancers"):
        if one["LoadBalancerArn"] in tagged:
            access.ensure_ours(one["LoadBalancerArn"])
            yield Balancer(
                one["LoadBalancerArn"],
                one["LoadBalancerName"],
                one["Type"],
                tuple(mapping(zone) for zone in one["AvailabilityZones"]),
                {zone["SubnetId"]: zone["ZoneName"] for zone in one["AvailabilityZones"]},
            )


def _template(access: Access, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = access.client("fis").get_experiment_template(id=name)["experimentTemplate"]
    access.ensure_ours(found["arn"])
    return found


def mapping(zone: Mapping[str, Any]) -> dict[str, str]:
    """A zone of a load balancer as ``SetSubnets`` takes it, with the addresses that are its own."""
    given: Mapping[str, Any] = next(iter(zone.get("LoadBalancerAddresses") or []), {})
    names = {"AllocationId": "AllocationId", "PrivateIPv4Address": "PrivateIPv4Address", "IPv6Address": "IPv6Address"}
    return {"SubnetId": zone["SubnetId"], **{key: given[name] for key, name in names.items() if given.get(name)}}
