"""Where a copy is built: the subnets of the configuration, or some of its VPC, and who may reach it there."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ftchaos.errors import Invalid, Refused
from ftchaos.platforms.aws.copies.chosen import Ground

if TYPE_CHECKING:
    from ftchaos.config import Environment
    from ftchaos.platforms.aws.access import Access

LEAST_ZONES = 2
"""Source: RDS API reference, DBSubnetGroupDoesNotCoverEnoughAZs."""


def find(access: Access, settings: Environment, region: str) -> Ground:
    """The ground of the configuration, as it is now.

    Raises:
        Invalid: the configuration names none.
        Refused: subnets are missing, in several VPCs or in too few zones, or nobody knows where clients come from.
    """
    drill = settings.drill
    if drill is None or not (drill.subnets or drill.vpc):
        raise Invalid(
            "the environment does not say where a copy may be built",
            "name subnets in two zones, or a vpc: drill: {subnets: [...]}",
        )
    by = ("subnet-id", drill.subnets) if drill.subnets else ("vpc-id", [drill.vpc])
    which = [{"Name": by[0], "Values": list(by[1])}]
    found = list(access.pages("ec2", "describe_subnets", "Subnets", region=region, Filters=which))
    if missing := sorted(set(drill.subnets) - {one["SubnetId"] for one in found}):
        raise Refused(f"there is no {', '.join(missing)} in {region}", "correct drill.subnets in the configuration")
    subnets = found if drill.subnets else _one_a_zone(found)
    vpcs = sorted({one["VpcId"] for one in subnets})
    zones = sorted({one["AvailabilityZone"] for one in subnets})
    if len(vpcs) > 1:
        raise Refused(f"the subnets for drills are in several VPCs: {', '.join(vpcs)}", "name those of one VPC")
    if len(zones) < LEAST_ZONES:
        raise Refused(
            f"the subnets for drills are in {', '.join(zones) or 'no zone'}",
            f"name subnets in at least {LEAST_ZONES} zones, as RDS demands of a subnet group",
        )
    clients = tuple(drill.clients) or (_own_address(access.place.endpoint, subnets[0]),)
    return Ground(vpcs[0], tuple(one["SubnetId"] for one in subnets), clients)


def _one_a_zone(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """In each zone the subnet with most addresses to give, one that gives no public addresses before one that does."""
    best: dict[str, Mapping[str, Any]] = {}
    order = sorted(found, key=lambda one: (one.get("MapPublicIpOnLaunch", False), -one["AvailableIpAddressCount"]))
    for one in order:
        best.setdefault(one["AvailabilityZone"], one)
    return [best[zone] for zone in sorted(best)]


def _own_address(endpoint: str, subnet: Mapping[str, Any]) -> str:
    """The address that this machine goes there from, as the network of one host. Nothing is sent."""
    there = urlsplit(endpoint).hostname if endpoint else str(ipaddress.IPv4Network(subnet["CidrBlock"])[4])
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((there, 9))
            return f"{probe.getsockname()[0]}/32"
    except OSError as error:
        raise Refused(
            f"this machine does not know from which address it would reach {subnet['SubnetId']}: {error.strerror}",
            "name the networks of the clients: drill: {clients: [10.20.0.0/16]}",
        ) from error
