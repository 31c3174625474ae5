"""Experiment templates of AWS FIS: what one may do that ftchaos begins, and what it would hit; nothing here does I/O.

A template is the user's own, so it is held to what every fault is held to: it stops when an alarm rings, takes only
what carries the tag, in one zone, and fails rather than to pass over what it does not find.

Source: AWS FIS user guide, actions reference, targets, and AZ Availability: Power Interruption.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ftchaos.platforms.aws.inventory import Inventory

INSTANCE, SUBNET, GROUP = "aws:ec2:instance", "aws:ec2:subnet", "aws:ec2:autoscaling-group"
CLUSTER, DATABASE, CACHE = "aws:rds:cluster", "aws:rds:db", "aws:elasticache:replicationgroup"

ZONE, ANY = "the zone", "any"  # stand for values
# What an action does it to, and the parameters without which it does less than a power interruption, or for ever.
ACTIONS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "aws:fis:wait": ("", {}),
    "aws:ec2:stop-instances": (INSTANCE, {"startInstancesAfterDuration": ANY}),
    "aws:ec2:asg-insufficient-instance-capacity-error": (GROUP, {"availabilityZoneIdentifiers": ZONE}),
    "aws:network:disrupt-connectivity": (SUBNET, {"scope": "all"}),
    "aws:rds:failover-db-cluster": (CLUSTER, {}),
    "aws:rds:reboot-db-instances": (DATABASE, {"forceFailover": "true"}),
    "aws:elasticache:replicationgroup-interrupt-az-power": (CACHE, {}),
}
# How a type of resource is held to a zone: by a parameter, or by a filter on this path.
ZONED = {
    INSTANCE: ("", "Placement.AvailabilityZone"),
    SUBNET: ("availabilityZoneIdentifier", "AvailabilityZone"),
    GROUP: ("", "AvailabilityZones"),
    CLUSTER: ("writerAvailabilityZoneIdentifiers", ""),
    DATABASE: ("availabilityZoneIdentifiers", ""),
    CACHE: ("availabilityZoneIdentifier", ""),
}
RUNNING = ("State.Name", ("running",))


def objections(template: Mapping[str, Any], tag: str, zone: str) -> list[str]:
    """Why a template cannot be used for this zone, each reason in words; empty when it can."""
    return [*_whole(template), *_actions(template, zone), *_targets(template, tag, zone)]


def _whole(template: Mapping[str, Any]) -> Iterator[str]:
    conditions = [one["source"] for one in template.get("stopConditions") or []]
    if not conditions or "none" in conditions:
        yield "it has no stop condition"
    options = template.get("experimentOptions") or {}
    mode = options.get("emptyTargetResolutionMode", "fail")
    if mode != "fail":
        yield f"its emptyTargetResolutionMode is {mode}, not fail"
    accounts = options.get("accountTargeting", "single-account")
    if accounts != "single-account":
        yield f"its accountTargeting is {accounts}"


def _actions(template: Mapping[str, Any], zone: str) -> Iterator[str]:
    actions = template.get("actions") or {}
    for name, one in sorted(actions.items()):
        if one["actionId"] not in ACTIONS:
            yield f"the action {name} is {one['actionId']}, and what that hits cannot be told here"
            continue
        for parameter, wanted in ACTIONS[one["actionId"]][1].items():
            given = (one.get("parameters") or {}).get(parameter, "")
            if not given if wanted == ANY else given != (zone if wanted == ZONE else wanted):
                needed = "" if wanted == ANY else f", not {zone if wanted == ZONE else wanted}"
                yield f"the action {name} has {given or 'nothing'} as {parameter}{needed}"
    if not used(template):
        yield "it harms nothing"


def _targets(template: Mapping[str, Any], tag: str, zone: str) -> Iterator[str]:
    key, _, value = tag.partition("=")
    for name, one in sorted(used(template).items()):
        if one.get("resourceArns"):
            yield f"the target {name} names resources instead of the tag {tag}"
        elif (one.get("resourceTags") or {}).get(key) != value:
            yield f"the target {name} does not select by the tag {tag}"
        if one.get("selectionMode") != "ALL":
            yield f"the target {name} selects {one.get('selectionMode')}, not ALL"
        yield from _zones(name, one, zone)


def _zones(name: str, target: Mapping[str, Any], zone: str) -> Iterator[str]:
    if target["resourceType"] not in ZONED:
        yield f"the target {name} is {target['resourceType']}, which is not known here"
        return
    parameter, path = ZONED[target["resourceType"]]
    zones = [target.get("parameters", {}).get(parameter)] if target.get("parameters", {}).get(parameter) else []
    for one in target.get("filters") or []:
        if one["path"] == path:
            zones += one["values"]
        elif (one["path"], tuple(one["values"])) != RUNNING:
            yield f"the target {name} filters by {one['path']}, and what that leaves cannot be told here"
    if zones != [zone] and (zones or target["resourceType"] != GROUP):
        yield f"the target {name} is in {', '.join(zones) or 'any zone'}, not {zone}"


def used(template: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The targets that its actions have, by name."""
    names = {name for one in (template.get("actions") or {}).values() for name in (one.get("targets") or {}).values()}
    return {name: one for name, one in (template.get("targets") or {}).items() if name in names}


def hits(template: Mapping[str, Any], inventory: Inventory, zone: str) -> dict[str, dict[str, list[str]]]:
    """What FIS would find for each target, by its name: names of resources, by their type."""
    return {name: {one["resourceType"]: _hit(one, inventory, zone)} for name, one in used(template).items()}


def _hit(target: Mapping[str, Any], inventory: Inventory, zone: str) -> list[str]:
    kind = target["resourceType"]
    vpc = target.get("parameters", {}).get("vpc", "")
    zoned = any(one["path"] == ZONED[GROUP][1] for one in target.get("filters") or [])
    running = any(one["path"] == RUNNING[0] for one in target.get("filters") or [])
    found = {
        INSTANCE: [one.id for one in inventory.instances if one.zone == zone and one.state in _states(running)],
        SUBNET: [one.id for one in inventory.subnets if one.zone == zone and vpc in ("", one.vpc)],
        GROUP: [one.name for one in inventory.groups if not zoned or zone in one.zones],
        CLUSTER: [one.name for one in inventory.databases if one.clustered and one.writer.zone == zone],
        DATABASE: [one.name for one in inventory.databases if not one.clustered and one.writer.zone == zone],
        CACHE: [one.group for one in inventory.shards if any(node.zone == zone for node in one.copies)],
    }
    return list(dict.fromkeys(found[kind]))


def _states(running: bool) -> tuple[str, ...]:
    return ("running",) if running else ("pending", "running", "stopping", "stopped")
