"""How an environment on AWS stands: all that a fault may change, in words, and what it is made of, for the evidence.

Who leads and where is left out of the words that are compared: it stays where a failover has moved it to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftchaos.platforms.aws.inventory import Inventory

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access


def state(inventory: Inventory) -> dict[str, str]:
    """How everything stands that a fault may change, flat and in words."""
    found = {one.id: one.state for one in inventory.instances}
    found |= {f"network of {one.id}": one.acl for one in inventory.subnets}
    for group in inventory.groups:
        suspended = f"; {', '.join(group.suspended)} suspended" if group.suspended else ""
        found[f"auto scaling group {group.name}"] = f"in {', '.join(group.subnets or group.zones)}{suspended}"
    for balancer in inventory.balancers:
        found[f"load balancer {balancer.name}"] = f"in {', '.join(sorted(balancer.zone_of))}"
    for database in inventory.databases:
        beside = [copy.name for copy in database.others]
        found[f"database {database.name}"] = f"{database.status}, and {len(beside)} beside the writer"
    for shard in inventory.shards:
        found[f"shard {shard}"] = f"{shard.status}, and {len(shard.replicas)} beside the primary"
    return found


def describe(access: Access, inventory: Inventory) -> dict[str, Any]:
    """Servers, versions and settings, as the services say; no secrets."""
    servers: list[dict[str, str]] = []
    settings: dict[str, Any] = {"tag": inventory.tag, "client_zone": inventory.client_zone}
    versions: dict[str, set[str]] = {"mysql": set(), "redis": set()}
    zone_of = {copy.name: copy.zone for one in inventory.databases for copy in one.copies}
    for one in access.pages("rds", "describe_db_instances", "DBInstances"):
        if (name := one["DBInstanceIdentifier"]) in zone_of:
            version = f"{one['Engine']} {one['EngineVersion']}"
            versions["mysql"].add(version)
            servers.append({"name": name, "place": zone_of[name], "version": version})
            kind = "Multi-AZ" if one.get("MultiAZ") else "one zone"
            settings[f"{name}_class"] = f"{one['DBInstanceClass']}, {kind}"
            settings[f"{name}_backup_retention_days"] = one.get("BackupRetentionPeriod", 0)
    nodes = {node.name: node.zone for shard in inventory.shards for node in shard.copies}
    for one in access.pages("elasticache", "describe_cache_clusters", "CacheClusters") if nodes else ():
        if (name := one["CacheClusterId"]) in nodes:
            version = f"{one['Engine']} {one['EngineVersion']}"
            versions["redis"].add(version)
            servers.append({"name": name, "place": nodes[name], "version": f"{version}, {one['CacheNodeType']}"})
    return {
        "mode": "aws",
        "zones": inventory.zones,
        "servers": servers,
        "settings": settings,
        **{store: ", ".join(sorted(found)) for store, found in versions.items()},
    }
